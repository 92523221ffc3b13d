//! Those workloads of README.md that tokio has the means for, under the same names. Its channels hold one item at least: where the
//! others' are unbuffered these have room for one. Every workload runs in tasks on the workers, the main thread only waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch, Mutex, RwLock, Semaphore};
use tokio::task::{spawn, yield_now, JoinHandle};
use weir_perf::{cpu_ms, fib_by_addition, memory_now, nth_prime, sum_below, Bench, Workload};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// run runs a task on the workers and waits for it.
fn run<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = RUNTIME.get().expect("started");
    runtime.block_on(runtime.spawn(task)).expect("the task panicked")
}

async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("a task panicked"));
    }
    results
}

fn spawn_one(b: &Bench) {
    b.per_op(b.count(2_000_000, 1000), |n| {
        let ran = run(async move {
            let mut ran = 0;
            for _ in 0..n {
                ran += spawn(async { 1 }).await.unwrap();
            }
            ran
        });
        b.expect("tasks that ran", ran, n);
    });
}

/// spawn_and_join starts n tasks, each of which counts itself, and returns the count.
async fn spawn_and_join(n: i64) -> i64 {
    let ran = Arc::new(AtomicI64::new(0));
    let mark = |_| {
        let ran = ran.clone();
        spawn(async move {
            ran.fetch_add(1, Relaxed);
        })
    };
    let tasks = (0..n).map(mark).collect();
    join(tasks).await;
    ran.load(Relaxed)
}

fn spawn_burst(b: &Bench) {
    const BURST: i64 = 1000;
    b.per_op(b.count(1000, 3) * BURST, |n| {
        let ran = run(async move {
            let mut ran = 0;
            for _ in 0..n / BURST {
                ran += spawn_and_join(BURST).await;
            }
            ran
        });
        b.expect("tasks that ran", ran, n / BURST * BURST);
    });
}

fn spawn_million(b: &Bench) {
    let n = b.count(1_000_000, 1000);
    run(spawn_and_join(n / 10));
    for part in ["", "again"] {
        let start = Instant::now();
        let ran = run(spawn_and_join(n));
        b.report_each(part, start.elapsed(), n);
        b.expect("tasks that ran", ran, n);
    }
}

fn yields(b: &Bench) {
    const TASKS: i64 = 4;
    b.per_op(b.count(1_000_000, 100) * TASKS, |n| {
        let count = move |_| {
            spawn(async move {
                let mut done = 0;
                while done < n / TASKS {
                    yield_now().await;
                    done += 1;
                }
                done
            })
        };
        let counts = run(async move { join((0..TASKS).map(count).collect()).await });
        b.expect("yields", counts.iter().sum(), n / TASKS * TASKS);
    });
}

fn ping_pong(b: &Bench) {
    b.per_op(b.count(1_000_000, 100), |n| {
        let sum = run(async move {
            let (ping, mut ping_in) = mpsc::channel::<i64>(1);
            let (pong, mut pong_in) = mpsc::channel::<i64>(1);
            spawn(async move {
                while let Some(v) = ping_in.recv().await {
                    pong.send(v + 1).await.unwrap();
                }
            });
            let mut sum = 0;
            for i in 0..n {
                ping.send(i).await.unwrap();
                sum += pong_in.recv().await.unwrap();
            }
            sum
        });
        b.expect("sum of the answers", sum, sum_below(n) + n);
    });
}

fn ring_1000(b: &Bench) {
    const TASKS: i64 = 1000;
    b.per_op(b.count(1000, 3) * TASKS, |n| {
        let token = run(async move {
            let (first, mut last) = mpsc::channel::<i64>(1);
            for _ in 1..TASKS {
                let (out, next) = mpsc::channel(1);
                let mut input = std::mem::replace(&mut last, next);
                spawn(async move {
                    while let Some(token) = input.recv().await {
                        out.send(token + 1).await.unwrap();
                    }
                });
            }
            let mut token = 0;
            for _ in 0..n / TASKS {
                first.send(token + 1).await.unwrap();
                token = last.recv().await.unwrap();
            }
            token
        });
        b.expect("hops", token, n / TASKS * TASKS);
    });
}

fn spsc(b: &Bench, items: i64, capacity: usize) {
    b.per_op(b.count(items, 1000), |n| {
        let sum = run(async move {
            let (out, mut input) = mpsc::channel(capacity);
            spawn(async move {
                for i in 0..n {
                    out.send(i).await.unwrap();
                }
            });
            let mut sum = 0;
            while let Some(v) = input.recv().await {
                sum += v;
            }
            sum
        });
        b.expect("sum received", sum, sum_below(n));
    });
}

fn fan_in_100(b: &Bench) {
    const SENDERS: i64 = 100;
    b.per_op(b.count(20_000, 10) * SENDERS, |n| {
        let share = n / SENDERS;
        let sum = run(async move {
            let (out, mut input) = mpsc::channel(1);
            for _ in 0..SENDERS {
                let out = out.clone();
                spawn(async move {
                    for v in 0..share {
                        out.send(v).await.unwrap();
                    }
                });
            }
            drop(out);
            let mut sum = 0;
            while let Some(v) = input.recv().await {
                sum += v;
            }
            sum
        });
        b.expect("sum received", sum, sum_below(share) * SENDERS);
    });
}

fn range(b: &Bench) {
    const ITEMS: i64 = 1000;
    b.per_op(b.count(10_000, 1) * ITEMS, |n| {
        let sum = run(async move {
            let mut sum = 0;
            for _ in 0..n / ITEMS {
                let (out, mut input) = mpsc::channel(ITEMS as usize);
                for v in 0..ITEMS {
                    out.send(v).await.unwrap();
                }
                drop(out);
                while let Some(v) = input.recv().await {
                    sum += v;
                }
            }
            sum
        });
        b.expect("sum received", sum, n / ITEMS * sum_below(ITEMS));
    });
}

/// sender starts a task that sends 0 ... share-1, and returns the other end.
fn sender(share: i64, capacity: usize) -> mpsc::Receiver<i64> {
    let (out, input) = mpsc::channel(capacity);
    spawn(async move {
        for v in 0..share {
            out.send(v).await.unwrap();
        }
        std::future::pending::<()>().await; // the channel stays open
    });
    input
}

macro_rules! select_of {
    ($name:ident, $senders:literal, $($c:ident)+) => {
        fn $name(b: &Bench, items: i64, capacity: usize) {
            b.per_op(b.count(items, 1000), |n| {
                let share = n / $senders;
                let sum = run(async move {
                    $(let mut $c = sender(share, capacity);)+
                    let mut sum = 0;
                    for _ in 0..share * $senders {
                        sum += tokio::select! { $(v = $c.recv() => v.unwrap(),)+ };
                    }
                    sum
                });
                b.expect("sum received", sum, sum_below(share) * $senders);
            });
        }
    };
}

select_of!(select_of_2, 2, c0 c1);
select_of!(select_of_4, 4, c0 c1 c2 c3);
select_of!(select_of_8, 8, c0 c1 c2 c3 c4 c5 c6 c7);

/// together runs task(n / tasks) in so many tasks and waits for them.
async fn together<F: Future<Output = ()> + Send + 'static>(tasks: i64, n: i64, task: impl Fn(i64) -> F) {
    join((0..tasks).map(|_| spawn(task(n / tasks))).collect()).await;
}

fn mutex(b: &Bench, items: i64, tasks: i64) {
    b.per_op(b.count(items, 1000), |n| {
        let counter = run(async move {
            let mu = Arc::new(Mutex::new(0));
            together(tasks, n, |each| {
                let mu = mu.clone();
                async move {
                    for _ in 0..each {
                        *mu.lock().await += 1;
                    }
                }
            })
            .await;
            let counter = *mu.lock().await;
            counter
        });
        b.expect("counter", counter, n / tasks * tasks);
    });
}

fn rwmutex_read(b: &Bench) {
    b.per_op(b.count(20_000_000, 1000), |n| {
        let sum = run(async move {
            let mu = RwLock::new(1);
            let mut sum = 0;
            for _ in 0..n {
                sum += *mu.read().await;
            }
            sum
        });
        b.expect("sum", sum, n);
    });
}

fn rwmutex(b: &Bench, tasks: i64) {
    b.per_op(b.count(5_000_000, 1000), |n| {
        let counter = run(async move {
            let mu = Arc::new(RwLock::new(0));
            together(tasks, n, |each| {
                let mu = mu.clone();
                async move {
                    let mut seen = 0;
                    for i in 0..each {
                        if i % 10 == 0 {
                            *mu.write().await += 1;
                        } else {
                            seen = *mu.read().await;
                        }
                    }
                    assert!(seen <= n);
                }
            })
            .await;
            let counter = *mu.read().await;
            counter
        });
        b.expect("writes", counter, (n / tasks + 9) / 10 * tasks);
    });
}

fn semaphore(b: &Bench, items: i64, tasks: i64) {
    b.per_op(b.count(items, 1000), |n| {
        let counter = run(async move {
            let units = Arc::new(Semaphore::new(1));
            let counter = Arc::new(AtomicI64::new(0));
            together(tasks, n, |each| {
                let (units, counter) = (units.clone(), counter.clone());
                async move {
                    for _ in 0..each {
                        let _unit = units.acquire().await.unwrap();
                        counter.store(counter.load(Relaxed) + 1, Relaxed);
                    }
                }
            })
            .await;
            counter.load(Relaxed)
        });
        b.expect("counter", counter, n / tasks * tasks);
    });
}

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// skynet sends the sum of the ordinals num ... num+size-1 to out, through ten children at every level.
fn skynet(out: mpsc::Sender<i64>, num: i64, size: i64) -> Task<()> {
    Box::pin(async move {
        if size == 1 {
            out.send(num).await.unwrap();
            return;
        }
        let (child_out, mut children) = mpsc::channel(1);
        for i in 0..10 {
            spawn(skynet(child_out.clone(), num + i * (size / 10), size / 10));
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += children.recv().await.unwrap();
        }
        out.send(sum).await.unwrap();
    })
}

fn skynet_million(b: &Bench) {
    let run_skynet = |leaves| {
        let sum = run(async move {
            let (out, mut root) = mpsc::channel(1);
            spawn(skynet(out, 0, leaves));
            root.recv().await.unwrap()
        });
        b.expect("sum of the leaves", sum, sum_below(leaves));
    };
    let mut leaves = 1000;
    while leaves * 10 <= b.count(1_000_000, 1000) {
        leaves *= 10;
    }
    run_skynet(leaves / 10);
    let start = Instant::now();
    run_skynet(leaves);
    b.report("", start.elapsed().as_secs_f64() * 1e3, "ms", leaves);
}

/// sieve returns the last of the first n primes.
async fn sieve(n: i64) -> i64 {
    let (out, mut input) = mpsc::channel(1);
    spawn(async move {
        let mut i = 2;
        while out.send(i).await.is_ok() {
            i += 1;
        }
    });
    let mut prime = 0;
    for _ in 0..n {
        prime = input.recv().await.unwrap();
        let (out, next) = mpsc::channel(1);
        let mut previous = std::mem::replace(&mut input, next);
        spawn(async move {
            while let Some(i) = previous.recv().await {
                if i % prime != 0 && out.send(i).await.is_err() {
                    return;
                }
            }
        });
    }
    prime
}

fn sieve_4000(b: &Bench) {
    let n = b.count(4000, 100);
    run(sieve(n / 10 + 1));
    let start = Instant::now();
    let got = run(sieve(n));
    b.report("", start.elapsed().as_secs_f64() * 1e3, "ms", n);
    b.expect("last prime", got, nth_prime(n as usize));
}

/// fib computes one of its two terms in a task of its own, down to the last call.
fn fib(n: i64) -> Task<i64> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let first = spawn(fib(n - 1));
        let second = fib(n - 2).await;
        first.await.unwrap() + second
    })
}

fn fib_27(b: &Bench) {
    let n = b.count(27, 10);
    run(fib(n - 5));
    let start = Instant::now();
    let got = run(fib(n));
    b.report("", start.elapsed().as_secs_f64() * 1e3, "ms", n);
    b.expect("fib", got, fib_by_addition(n));
}

fn parked_million(b: &Bench) {
    let n = b.count(1_000_000, 1000);
    run(spawn_and_join(1000));
    let woken = Arc::new(AtomicI64::new(0));
    let arrived = Arc::new(AtomicI64::new(0));
    let (gate, wait) = watch::channel(());
    let before = memory_now();
    let start = Instant::now();
    let (all_arrived, woken_by_all) = (arrived.clone(), woken.clone());
    let tasks: Vec<JoinHandle<()>> = run(async move {
        let park = |_| {
            let (mut wait, arrived, woken) = (wait.clone(), all_arrived.clone(), woken_by_all.clone());
            spawn(async move {
                arrived.fetch_add(1, Relaxed);
                let _ = wait.changed().await; // an error: the gate has gone
                woken.fetch_add(1, Relaxed);
            })
        };
        let tasks = (0..n).map(park).collect();
        while all_arrived.load(Relaxed) < n {
            yield_now().await;
        }
        tasks
    });
    b.report_each("create", start.elapsed(), n);
    let after = memory_now();
    b.report("rss", (after.0 - before.0) as f64 / n as f64, "bytes", n);
    b.report("page_tables", (after.1 - before.1) as f64 / n as f64, "bytes", n);

    b.expect("woken too early", woken.load(Relaxed), 0);
    let start = Instant::now();
    drop(gate);
    run(join(tasks));
    b.report_each("wake", start.elapsed(), n);
    b.expect("tasks woken", woken.load(Relaxed), n);
}

async fn sleepers(n: i64, naps: i64) -> i64 {
    let in_time = Arc::new(AtomicI64::new(0));
    let nap_all = |i: i64| {
        let in_time = in_time.clone();
        spawn(async move {
            for nap in 0..naps {
                let d = Duration::from_millis((1 + (i * 7919 + nap * 31) % 100) as u64);
                let start = Instant::now();
                tokio::time::sleep(d).await;
                if start.elapsed() >= d {
                    in_time.fetch_add(1, Relaxed);
                }
            }
        })
    };
    let tasks = (0..n).map(nap_all).collect();
    join(tasks).await;
    in_time.load(Relaxed)
}

fn timers_100k(b: &Bench) {
    let n = b.count(100_000, 1000);
    run(sleepers(n / 10, 1));
    let before = cpu_ms();
    let in_time = run(sleepers(n, 10));
    b.report("", cpu_ms() - before, "CPU ms", n);
    b.expect("sleeps that never ended early", in_time, 10 * n);
}

/// wake_latency: tokio's timers have a resolution of a millisecond, so that the pauses are longer here.
fn wake_latency(b: &Bench) {
    let n = b.count(1000, 100);
    let delays = run(async move {
        let (out, mut input) = mpsc::channel::<Instant>(1);
        let receiver = spawn(async move {
            let mut delays = Vec::new();
            while let Some(sent) = input.recv().await {
                delays.push(sent.elapsed().as_nanos() as f64);
            }
            delays
        });
        for _ in 0..n {
            tokio::time::sleep(Duration::from_micros(50)).await;
            out.send(Instant::now()).await.unwrap();
        }
        drop(out);
        receiver.await.unwrap()
    });
    b.expect("wake-ups", delays.len() as i64, n);
    b.percentiles(delays[n as usize / 10..].to_vec());
}

fn thread_send(b: &Bench) {
    b.per_op(b.count(2_000_000, 1000), |n| {
        let (out, mut input) = mpsc::channel(128);
        let thread = std::thread::spawn(move || {
            for i in 0..n {
                out.blocking_send(i).unwrap();
            }
        });
        let sum = run(async move {
            let mut sum = 0;
            while let Some(v) = input.recv().await {
                sum += v;
            }
            sum
        });
        thread.join().unwrap();
        b.expect("sum received", sum, sum_below(n));
    });
}

fn after_loop(b: &Bench) {
    b.per_op(b.count(1_000_000, 1000), |n| {
        let sum = run(async move {
            let (out, mut input) = mpsc::channel(128);
            spawn(async move {
                for i in 0..n {
                    out.send(i).await.unwrap();
                }
            });
            let mut sum = 0;
            for _ in 0..n {
                tokio::select! {
                    v = input.recv() => sum += v.unwrap(),
                    _ = tokio::time::sleep(Duration::from_secs(3600)) => {}
                }
            }
            sum
        });
        b.expect("sum received", sum, sum_below(n));
    });
}

async fn echo(mut conn: TcpStream) {
    let mut buf = [0; 512];
    while let Ok(n @ 1..) = conn.read(&mut buf).await {
        if conn.write_all(&buf[..n]).await.is_err() {
            return;
        }
    }
}

/// ask sends n messages, each after the answer to the one before, and counts the right answers.
async fn ask(conn: &mut TcpStream, n: i64) -> i64 {
    let mut right = 0;
    let (mut sent, mut received) = ([0; 64], [0; 64]);
    for i in 0..n {
        sent[..8].copy_from_slice(&i.to_le_bytes());
        if conn.write_all(&sent).await.is_err() || conn.read_exact(&mut received).await.is_err() {
            return right;
        }
        right += i64::from(sent == received);
    }
    right
}

fn tcp_echo_64(b: &Bench) {
    const CONNS: i64 = 64;
    let conns: Vec<Arc<Mutex<TcpStream>>> = run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn(async move {
            while let Ok((conn, _)) = listener.accept().await {
                conn.set_nodelay(true).unwrap();
                spawn(echo(conn));
            }
        });
        let mut conns = Vec::new();
        for _ in 0..CONNS {
            let conn = TcpStream::connect(address).await.unwrap();
            conn.set_nodelay(true).unwrap();
            conns.push(Arc::new(Mutex::new(conn)));
        }
        conns
    });
    b.per_op(b.count(100_000, 640), |n| {
        let conns = conns.clone();
        let right = run(async move {
            let tasks = conns
                .into_iter()
                .map(|conn| spawn(async move { ask(&mut *conn.lock().await, n / CONNS).await }));
            join(tasks.collect()).await
        });
        b.expect("right answers", right.iter().sum(), n / CONNS * CONNS);
    });
}

const WORKLOADS: &[Workload] = &[
    ("spawn_one", spawn_one),
    ("spawn_burst", spawn_burst),
    ("spawn_million", spawn_million),
    ("yield", yields),
    ("ping_pong", ping_pong),
    ("ring_1000", ring_1000),
    ("spsc_128", |b| spsc(b, 5_000_000, 128)),
    ("spsc_1", |b| spsc(b, 1_000_000, 1)),
    ("fan_in_100", fan_in_100),
    ("range", range),
    ("select_2", |b| select_of_2(b, 1_000_000, 1)),
    ("select_4", |b| select_of_4(b, 1_000_000, 1)),
    ("select_8", |b| select_of_8(b, 1_000_000, 1)),
    ("select_4_buffered", |b| select_of_4(b, 2_000_000, 128)),
    ("mutex_uncontended", |b| mutex(b, 20_000_000, 1)),
    ("mutex_2", |b| mutex(b, 10_000_000, 2)),
    ("mutex_8", |b| mutex(b, 10_000_000, 8)),
    ("mutex_64", |b| mutex(b, 10_000_000, 64)),
    ("rwmutex_read", rwmutex_read),
    ("rwmutex_2", |b| rwmutex(b, 2)),
    ("rwmutex_8", |b| rwmutex(b, 8)),
    ("semaphore", |b| semaphore(b, 10_000_000, 1)),
    ("semaphore_2", |b| semaphore(b, 2_000_000, 2)),
    ("semaphore_8", |b| semaphore(b, 2_000_000, 8)),
    ("skynet", skynet_million),
    ("sieve", sieve_4000),
    ("fib_27", fib_27),
    ("parked_million", parked_million),
    ("timers_100k", timers_100k),
    ("wake_latency", wake_latency),
    ("thread_send", thread_send),
    ("after_loop", after_loop),
    ("tcp_echo_64", tcp_echo_64),
];

fn main() {
    weir_perf::main(WORKLOADS, |procs| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(procs)
            .enable_all()
            .build();
        RUNTIME.set(runtime.expect("no runtime")).expect("set once");
    })
}
