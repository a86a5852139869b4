//! Processes that take and return without end, and write down what they hold.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::sleep};
use tower_concurrency_limiter::{Limiter, Permit, Resource, redis::WhenUnavailable};

use super::Venue;
use test_support::holders::{Log, Nanos, now};

const ORDERS: &str = "CONCURRENCY_LIMITER_TEST_ORDERS";
const RESTING: &str = "> resting";
/// So often a holder makes sure that what it holds is its own.
const LOOK: Duration = Duration::from_millis(5);
/// After a pause it has done so within this time.
const AWAKE: Duration = Duration::from_millis(300);

/// What such a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) log: PathBuf,
    /// In the log.
    pub(crate) number: u32,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    pub(crate) limit: usize,
    /// So many requests at once.
    pub(crate) tasks: usize,
    /// A request takes one unit up to so many.
    pub(crate) units: u32,
    /// For how long a permit is held, in milliseconds.
    pub(crate) hold: (u64, u64),
    /// Whether requests wait for a server that is away, or are turned away.
    pub(crate) waits: bool,
}

/// The test binary once more, as such a process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    child: Child,
    log: Log,
    rests: Receiver<()>,
    /// Since when it stands still.
    stopped: Option<Nanos>,
    /// When it last went on.
    resumed: Nanos,
}

impl Holder {
    /// Runs the test `entry` of this binary, which has to be [`obey`].
    pub(crate) fn start(entry: &str, orders: &Orders) -> Self {
        let text = serde_json::to_string(orders).expect("orders");
        let mut child = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", entry, "--nocapture", "--test-threads=1"])
            .env(ORDERS, text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another process");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (told, rests) = mpsc::channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.ends_with(RESTING) {
                    let _ = told.send(());
                }
            }
        });
        Self {
            child,
            log: Log::open(&orders.log, orders.number).expect("a log"),
            rests,
            stopped: None,
            resumed: 0,
        }
    }

    /// Whether it has had the time to see what it has lost while it stood still.
    pub(crate) fn is_awake(&self) -> bool {
        now() - self.resumed > AWAKE.as_nanos() as Nanos
    }

    /// SIGKILL, whatever it is doing.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        if let Some(at) = self.stopped {
            self.log.paused(at);
        }
        self.log.killed();
    }

    /// SIGSTOP. What it still believes in when it goes on, it says itself.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        let is_stopped = || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "));
        while !is_stopped() {
            thread::yield_now();
        }
        self.stopped = Some(now());
    }

    pub(crate) fn resume(&mut self) {
        self.stopped = None;
        self.resumed = now();
        self.signal(Signal::CONT);
    }

    /// Has it return what it holds, and take nothing more. It goes on living.
    pub(crate) fn rest(&mut self) {
        let words = self.child.stdin.as_mut().expect("piped");
        words.write_all(b"rest\n").expect("it listens");
    }

    pub(crate) fn await_rest(&self) {
        let patience = Duration::from_secs(30);
        self.rests.recv_timeout(patience).expect("it comes to rest");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What such a process does: nothing, if this is the first one.
pub(crate) fn obey() {
    let Ok(orders) = env::var(ORDERS) else {
        return;
    };
    let orders = serde_json::from_str(&orders).expect("orders");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let rest = watch::Sender::new(false);
    let rests = rest.subscribe();
    // Its end is that of the first process, however that ended.
    thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            rest.send_replace(true);
        }
        std::process::exit(0);
    });
    runtime.block_on(work(orders, rests));
}

async fn work(orders: Orders, mut rests: watch::Receiver<bool>) {
    let venue = Venue::new(orders.url.clone()).named(&orders.namespace);
    let backend = venue
        .builder()
        .heartbeat(orders.heartbeat)
        .lease(orders.lease)
        .connect_lazy()
        .expect("a good URL");
    let policy = match orders.waits {
        true => WhenUnavailable::Wait,
        false => WhenUnavailable::FailClosed,
    };
    let db = Resource::builder("db")
        .concurrency(orders.limit)
        .shared(backend.strict().when_unavailable(policy))
        .build();
    let limiter = Limiter::new(Duration::from_secs(3), [&db]);
    let log = Arc::new(Log::open(&orders.log, orders.number).expect("a log"));
    let tasks = (0..orders.tasks).map(|n| {
        let task = Task {
            limiter: limiter.clone(),
            db: db.clone(),
            log: Arc::clone(&log),
            random: SmallRng::seed_from_u64(u64::from(orders.number) * 1_000 + n as u64),
        };
        tokio::spawn(task.work(orders.clone(), rests.clone()))
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    println!("{RESTING}");
    let _ = rests.wait_for(|_| false).await;
}

struct Task {
    limiter: Limiter,
    db: Resource,
    log: Arc<Log>,
    random: SmallRng,
}

impl Task {
    async fn work(mut self, orders: Orders, rests: watch::Receiver<bool>) {
        while !*rests.borrow() {
            let units = self.random.random_range(1..=orders.units);
            let hold = self.random.random_range(orders.hold.0..=orders.hold.1);
            let number = self.log.asked();
            match self.limiter.acquire([self.db.units(units as usize)]).await {
                Ok(permit) => {
                    let granted = self.log.granted(number, units);
                    let known = hold_valid(&permit, granted, Duration::from_millis(hold)).await;
                    // It counts for as long as it is certain that it was valid.
                    self.log.lost(number, known);
                    self.log.returned(number);
                    drop(permit);
                }
                Err(_) => {
                    self.log.refused(number);
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

/// Holds a permit for a while, or until it is lost: when it was last seen to be valid.
pub(crate) async fn hold_valid(permit: &Permit, granted: Nanos, time: Duration) -> Nanos {
    let mut known = granted;
    let end = granted + time.as_nanos() as Nanos;
    loop {
        let at = now();
        if !permit.is_valid() {
            return known;
        }
        known = at;
        if at >= end {
            return known;
        }
        sleep(LOOK.min(Duration::from_nanos(end - at))).await;
    }
}
