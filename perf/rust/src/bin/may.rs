//! Those workloads of README.md that may has the means for, under the same names. Its channels have no bound, so that a sender never
//! waits; what keeps over 30,000 coroutines at once (fib, skynet, a
//! million parked) needs more stacks than the kernel has mappings for.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::Arc;

use may::coroutine::yield_now;
use may::go;
use may::sync::{mpsc, Mutex, RwLock};
use weir_perf::{sum_below, Bench, Workload};

/// run runs a coroutine on the workers and waits for it.
fn run<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    go!(body).join().expect("the coroutine panicked")
}

fn spawn_one(b: &Bench) {
    b.per_op(b.count(2_000_000, 1000), |n| {
        let ran = run(move || (0..n).map(|_| go!(|| 1).join().unwrap()).sum());
        b.expect("coroutines that ran", ran, n);
    });
}

fn spawn_burst(b: &Bench) {
    const BURST: i64 = 1000;
    b.per_op(b.count(1000, 3) * BURST, |n| {
        let ran = run(move || {
            let mut ran = 0;
            for _ in 0..n / BURST {
                let all: Vec<_> = (0..BURST).map(|_| go!(|| 1)).collect();
                ran += all.into_iter().map(|one| one.join().unwrap()).sum::<i64>();
            }
            ran
        });
        b.expect("coroutines that ran", ran, n / BURST * BURST);
    });
}

fn yields(b: &Bench) {
    const COROUTINES: i64 = 4;
    b.per_op(b.count(1_000_000, 100) * COROUTINES, |n| {
        let count = move || {
            let mut done = 0;
            while done < n / COROUTINES {
                yield_now();
                done += 1;
            }
            done
        };
        let done = run(move || {
            let all: Vec<_> = (0..COROUTINES).map(|_| go!(count)).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        b.expect("yields", done, n / COROUTINES * COROUTINES);
    });
}

fn ping_pong(b: &Bench) {
    b.per_op(b.count(1_000_000, 100), |n| {
        let sum = run(move || {
            let (ping, ping_in) = mpsc::channel::<i64>();
            let (pong, pong_in) = mpsc::channel::<i64>();
            go!(move || {
                for v in ping_in.iter() {
                    pong.send(v + 1).unwrap();
                }
            });
            let mut sum = 0;
            for i in 0..n {
                ping.send(i).unwrap();
                sum += pong_in.recv().unwrap();
            }
            sum
        });
        b.expect("sum of the answers", sum, sum_below(n) + n);
    });
}

fn ring_1000(b: &Bench) {
    const COROUTINES: i64 = 1000;
    b.per_op(b.count(1000, 3) * COROUTINES, |n| {
        let token = run(move || {
            let (first, mut last) = mpsc::channel::<i64>();
            for _ in 1..COROUTINES {
                let (out, next) = mpsc::channel();
                let input = std::mem::replace(&mut last, next);
                go!(move || {
                    for token in input.iter() {
                        out.send(token + 1).unwrap();
                    }
                });
            }
            let mut token = 0;
            for _ in 0..n / COROUTINES {
                first.send(token + 1).unwrap();
                token = last.recv().unwrap();
            }
            token
        });
        b.expect("hops", token, n / COROUTINES * COROUTINES);
    });
}

/// together runs body(n / coroutines) in so many coroutines and waits for them.
fn together(coroutines: i64, n: i64, body: impl Fn(i64) + Clone + Send + 'static) {
    let start = |_| {
        let body = body.clone();
        go!(move || body(n / coroutines))
    };
    let all: Vec<_> = (0..coroutines).map(start).collect();
    all.into_iter().for_each(|one| one.join().unwrap());
}

fn mutex(b: &Bench, items: i64, coroutines: i64) {
    b.per_op(b.count(items, 1000), |n| {
        let counter = run(move || {
            let mu = Arc::new(Mutex::new(0));
            let mine = mu.clone();
            together(coroutines, n, move |each| {
                for _ in 0..each {
                    *mine.lock().unwrap() += 1;
                }
            });
            let counter = *mu.lock().unwrap();
            counter
        });
        b.expect("counter", counter, n / coroutines * coroutines);
    });
}

fn rwmutex(b: &Bench, coroutines: i64) {
    b.per_op(b.count(5_000_000, 1000), |n| {
        let counter = run(move || {
            let mu = Arc::new(RwLock::new(0));
            let mine = mu.clone();
            together(coroutines, n, move |each| {
                let mut seen = 0;
                for i in 0..each {
                    if i % 10 == 0 {
                        *mine.write().unwrap() += 1;
                    } else {
                        seen = *mine.read().unwrap();
                    }
                }
                assert!(seen <= n);
            });
            let counter = *mu.read().unwrap();
            counter
        });
        b.expect("writes", counter, (n / coroutines + 9) / 10 * coroutines);
    });
}

fn thread_send(b: &Bench) {
    b.per_op(b.count(2_000_000, 1000), |n| {
        let (out, input) = mpsc::channel();
        let sum = Arc::new(AtomicI64::new(0));
        let mine = sum.clone();
        let receiver = go!(move || mine.store(input.iter().sum(), Relaxed));
        let thread = std::thread::spawn(move || (0..n).for_each(|i| out.send(i).unwrap()));
        receiver.join().unwrap();
        thread.join().unwrap();
        b.expect("sum received", sum.load(Relaxed), sum_below(n));
    });
}

const WORKLOADS: &[Workload] = &[
    ("spawn_one", spawn_one),
    ("spawn_burst", spawn_burst),
    ("yield", yields),
    ("ping_pong", ping_pong),
    ("ring_1000", ring_1000),
    ("mutex_uncontended", |b| mutex(b, 20_000_000, 1)),
    ("mutex_2", |b| mutex(b, 10_000_000, 2)),
    ("mutex_8", |b| mutex(b, 10_000_000, 8)),
    ("mutex_64", |b| mutex(b, 10_000_000, 64)),
    ("rwmutex_2", |b| rwmutex(b, 2)),
    ("rwmutex_8", |b| rwmutex(b, 8)),
    ("thread_send", thread_send),
];

fn main() {
    weir_perf::main(WORKLOADS, |procs| {
        may::config().set_workers(procs);
    })
}
