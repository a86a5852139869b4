//! What the server has to do for a hand-off while others wait, few or many.

use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use test_support::Server;
use tokio::time::sleep;

use crate::{
    figures::{Figure, medians},
    one_thread,
    venue::{Process, Venue},
};

const ROUNDS: usize = 5;
const PROCESSES: usize = 50;
const FEW: usize = 10;
const MANY: usize = 1_000;
/// For all that came to stand in line.
const BETWEEN: Duration = Duration::from_millis(20);
const GATHER: Duration = Duration::from_millis(200);
const WINDOW: Duration = Duration::from_millis(500);

pub(crate) fn measure(server: &Server, venue: &Venue) -> Vec<Figure> {
    let runtime = one_thread();
    let processes = runtime.block_on(join_all((0..PROCESSES).map(|_| venue.db(1))));
    let [
        few,
        many,
        growth,
        few_pushes,
        many_pushes,
        few_calls,
        many_calls,
    ] = medians(ROUNDS, || {
        let few = runtime.block_on(hand_offs(server, &processes, FEW));
        let many = runtime.block_on(hand_offs(server, &processes, MANY));
        [
            few.cpu,
            many.cpu,
            many.cpu / few.cpu,
            few.pushes,
            many.pushes,
            few.scripts,
            many.scripts,
        ]
    });
    let title = |what: &str, waiters| {
        format!("{what} per hand-off, {waiters} waiters in {PROCESSES} processes")
    };
    vec![
        Figure::new(title("CPU µs of the server", FEW), few),
        Figure::new(title("CPU µs of the server", MANY), many),
        Figure::new("many beside few", growth).at_most(1.5),
        Figure::new(title("processes woken", FEW), few_pushes).at_most(1.1),
        Figure::new(title("processes woken", MANY), many_pushes).at_most(1.1),
        Figure::new(title("scripts", FEW), few_calls),
        Figure::new(title("scripts", MANY), many_calls),
    ]
}

/// What the server did for each of the hand-offs during a window.
async fn hand_offs(server: &Server, processes: &[Process], waiters: usize) -> Stats {
    let over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::with_capacity(waiters);
    while tasks.len() < waiters {
        // One in each process, so that a grant goes to another process than the last one did.
        for process in processes.iter().take(waiters - tasks.len()) {
            let (limiter, db) = (process.limiter.clone(), process.db.clone());
            let (over, count) = (Arc::clone(&over), Arc::clone(&count));
            tasks.push(tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    drop(limiter.acquire([&db]).await.expect("in time"));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        sleep(BETWEEN).await;
    }
    sleep(GATHER).await;
    let granted = || f64::from(count.load(Ordering::Relaxed));
    let (before, granted_before) = (Stats::of(server), granted());
    sleep(WINDOW).await;
    let (after, granted_after) = (Stats::of(server), granted());
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no task panics");
    }
    after.since(&before).per(granted_after - granted_before)
}

/// What the server has done.
pub(crate) struct Stats {
    /// Microseconds.
    cpu: f64,
    pub(crate) scripts: f64,
    /// Microseconds that they took.
    pub(crate) in_scripts: f64,
    pushes: f64,
}

impl Stats {
    pub(crate) fn of(server: &Server) -> Self {
        let info: String = server
            .ask(&["INFO", "cpu", "commandstats"])
            .expect("an answer");
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        let seconds = |name| field(name).map_or(0.0, |s| s.trim().parse().expect("a number"));
        // `calls=1,usec=2,..`
        let of_command = |name, which| {
            let number = field(name).and_then(|command| {
                command
                    .split(',')
                    .find_map(|part| part.strip_prefix(which)?.strip_prefix('='))
            });
            number.map_or(0.0, |number| number.parse().expect("a number"))
        };
        Self {
            cpu: (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1e6,
            scripts: of_command("cmdstat_evalsha", "calls"),
            in_scripts: of_command("cmdstat_evalsha", "usec"),
            pushes: of_command("cmdstat_publish", "calls"),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            scripts: self.scripts - before.scripts,
            in_scripts: self.in_scripts - before.in_scripts,
            pushes: self.pushes - before.pushes,
        }
    }

    fn per(&self, count: f64) -> Self {
        assert!(count >= 100.0, "there were hand-offs");
        Self {
            cpu: self.cpu / count,
            scripts: self.scripts / count,
            in_scripts: self.in_scripts / count,
            pushes: self.pushes / count,
        }
    }
}
