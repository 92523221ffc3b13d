//! What every workload uses, on tokio and on may: sizes, timing, checks and the result line. The twin of ../../cpp/bench.h.

use std::cell::RefCell;
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_millis(200);

/// Bench is one run of one workload.
pub struct Bench {
    name: &'static str,
    pub procs: usize,
    scale: f64,
    problem: RefCell<String>, // the first failed check; empty is good
    results: RefCell<Vec<(String, f64, &'static str, i64)>>,
}

impl Bench {
    /// count scales a workload's full size; a run never gets smaller than least.
    pub fn count(&self, full: i64, least: i64) -> i64 {
        ((full as f64 * self.scale) as i64).max(least)
    }

    /// trial_of is the size of the warm-up that comes before a run of n.
    pub fn trial_of(&self, n: i64) -> i64 {
        n / 10 + 1
    }

    /// fitting lessens n to what takes about the budget, going by a trial; never to less than the trial, and to whole thousands.
    pub fn fitting(&self, n: i64, took: Duration) -> i64 {
        let trial = self.trial_of(n);
        let within = (trial as f64 * BUDGET.as_secs_f64() / took.as_secs_f64().max(1e-9)) as i64;
        let n = n.min(within.max(trial));
        if n > 1000 {
            n - n % 1000
        } else {
            n
        }
    }

    /// per_op runs body at a tenth of the size as a warm-up, then at size n, or at one that fits into the budget, and reports the
    /// time of one operation.
    pub fn per_op(&self, n: i64, mut body: impl FnMut(i64)) {
        let begun = Instant::now();
        body(self.trial_of(n));
        let n = self.fitting(n, begun.elapsed());
        let start = Instant::now();
        body(n);
        self.report_each("", start.elapsed(), n);
    }

    /// report adds a figure; part names one of several figures of a workload ("parked_million.rss").
    pub fn report(&self, part: &str, value: f64, unit: &'static str, n: i64) {
        let name = if part.is_empty() {
            self.name.to_string()
        } else {
            format!("{}.{part}", self.name)
        };
        self.results.borrow_mut().push((name, value, unit, n));
    }

    /// report_each adds the nanoseconds of one of n operations.
    pub fn report_each(&self, part: &str, took: Duration, n: i64) {
        self.report(part, took.as_nanos() as f64 / n as f64, "ns", n);
    }

    /// expect records a failed check: the run then prints it in place of "ok" and the program exits with status 1.
    pub fn expect(&self, what: &str, got: i64, want: i64) {
        if got != want && self.problem.borrow().is_empty() {
            *self.problem.borrow_mut() = format!("{what}: got {got}, want {want}");
        }
    }

    /// percentiles reports p50, p99 and p99.9 of delays in nanoseconds.
    pub fn percentiles(&self, mut delays: Vec<f64>) {
        delays.sort_by(f64::total_cmp);
        let n = delays.len();
        for (part, at) in [("p50", n / 2), ("p99", n * 99 / 100), ("p99.9", n * 999 / 1000)] {
            self.report(part, delays[at], "ns", n as i64);
        }
    }

    fn print(&self) -> bool {
        let problem = self.problem.borrow();
        let check = if problem.is_empty() { "ok" } else { problem.as_str() };
        for (name, value, unit, n) in self.results.borrow().iter() {
            println!(
                r#"{{"name":"{name}","value":{value:.3},"unit":"{unit}","procs":{},"n":{n},"check":"{check}"}}"#,
                self.procs
            );
        }
        problem.is_empty()
    }
}

pub type Workload = (&'static str, fn(&Bench));

fn usage(problem: &str) -> ! {
    eprintln!("{problem}\nusage: [-procs N] [-scale X] [-list] [name...]");
    std::process::exit(2);
}

/// main reads the command line and runs what it asks for; start makes the runtime with so many workers.
pub fn main(workloads: &[Workload], start: impl FnOnce(usize)) -> ! {
    let (mut procs, mut scale, mut chosen) = (1usize, 1f64, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-list" => {
                workloads.iter().for_each(|(name, _)| println!("{name}"));
                std::process::exit(0);
            }
            "-procs" => procs = args.next().and_then(|v| v.parse().ok()).unwrap_or(0),
            "-scale" => scale = args.next().and_then(|v| v.parse().ok()).unwrap_or(0.0),
            name => match workloads.iter().find(|w| w.0 == name) {
                Some(workload) => chosen.push(*workload),
                None => usage(&format!("no such workload or flag; -list names the workloads: {name}")),
            },
        }
    }
    if procs < 1 || scale <= 0.0 {
        usage("-procs must be at least 1 and -scale above 0");
    }
    if chosen.is_empty() {
        chosen = workloads.to_vec();
    }
    start(procs);
    let mut good = true;
    for (name, run) in chosen {
        let bench = Bench {
            name,
            procs,
            scale,
            problem: Default::default(),
            results: Default::default(),
        };
        run(&bench);
        good &= bench.print();
    }
    std::process::exit(if good { 0 } else { 1 });
}

/// sum_below is 0 + 1 + ... + (n-1).
pub fn sum_below(n: i64) -> i64 {
    n * (n - 1) / 2
}

/// nth_prime finds the answer the plain way.
pub fn nth_prime(n: usize) -> i64 {
    let mut primes: Vec<i64> = Vec::new();
    let mut candidate = 2;
    while primes.len() < n {
        if primes.iter().take_while(|&&p| p * p <= candidate).all(|p| candidate % p != 0) {
            primes.push(candidate);
        }
        candidate += 1;
    }
    primes[n - 1]
}

pub fn fib_by_addition(n: i64) -> i64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

/// What the kernel counts for this process, in bytes: resident memory and page tables.
pub fn memory_now() -> (i64, i64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |key| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0");
        line.split_whitespace().next().and_then(|kb| kb.parse::<i64>().ok()).unwrap_or(0) * 1024
    };
    (field("VmRSS:"), field("VmPTE:"))
}

/// Processor time this process has used, user and system, in milliseconds, at the kernel's tick of 10 ms.
pub fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    ticks * 10.0
}
