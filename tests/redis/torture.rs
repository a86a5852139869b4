//! Real processes that share a limit are killed and paused without end, and their server is
//! restarted: never is more held than the limit, by the word of the holders, and nothing is lost.
//!
//! `TORTURE_SECONDS=60` torments them for longer.

use std::{
    env,
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::processes::{Holder, Orders, Process, Venue, until};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tempfile::TempDir;
use test_support::{
    Options, Server,
    holders::{Holders, Until},
};
use tokio::{sync::Mutex, time::sleep};
use tower_concurrency_limiter::redis::{DEFAULT_HEARTBEAT, DEFAULT_LEASE};

const MS: Duration = Duration::from_millis(1);

/// What is measured in one test is disturbed by the other.
static ONE_AFTER_THE_OTHER: Mutex<()> = Mutex::const_new(());

/// The other processes of these tests.
#[test]
fn another_process() {
    crate::processes::holder::obey();
}

fn time() -> Duration {
    let seconds = env::var("TORTURE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(15, |seconds| seconds.parse().expect("seconds")))
}

/// `TORTURE_SEED` says again what is done to whom, as far as that repeats anything.
fn random() -> SmallRng {
    let seed = env::var("TORTURE_SEED").ok();
    let seed = seed.map_or_else(
        || RandomState::new().hash_one(0),
        |seed| seed.parse().expect("a seed"),
    );
    println!("TORTURE_SEED={seed}");
    SmallRng::seed_from_u64(seed)
}

/// Processes that share a limit of `db`, and their log.
struct Crowd {
    orders: Orders,
    holders: Vec<Holder>,
    /// When those that are paused go on.
    pauses: Vec<Option<Instant>>,
    kills: usize,
    _folder: TempDir,
}

impl Crowd {
    fn gather(venue: &Venue, processes: usize, heartbeat: Duration, lease: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let orders = Orders {
            url: venue.url().to_owned(),
            namespace: venue.namespace().to_owned(),
            log: folder.path().join("log"),
            number: 0,
            heartbeat,
            lease,
            limit: 10,
            tasks: 3,
            units: 2,
            hold: (5, 40),
            waits: false,
        };
        Self {
            orders,
            holders: Vec::new(),
            pauses: vec![None; processes],
            kills: 0,
            _folder: folder,
        }
    }

    fn fill(&mut self) {
        while self.holders.len() < self.pauses.len() {
            self.orders.number += 1;
            self.orders.waits = self.orders.number % 2 == 0;
            self.holders
                .push(Holder::start("torture::another_process", &self.orders));
        }
    }

    /// Another comes in its place.
    fn kill(&mut self, index: usize) {
        if !self.holders[index].is_awake() {
            return;
        }
        self.kills += 1;
        self.holders.swap_remove(index).kill();
        let last = self.holders.len();
        self.pauses[index] = self.pauses[last].take();
        self.fill();
    }

    fn pause(&mut self, index: usize, time: Duration) {
        if self.pauses[index].is_none() {
            self.holders[index].stop();
            self.pauses[index] = Some(Instant::now() + time);
        }
    }

    fn resume(&mut self, is_due: impl Fn(Instant) -> bool) {
        for (holder, pause) in self.holders.iter_mut().zip(&mut self.pauses) {
            if pause.is_some_and(&is_due) {
                *pause = None;
                holder.resume();
            }
        }
    }

    /// All return what they hold, and take nothing more.
    fn rest(&mut self) {
        self.resume(|_| true);
        self.holders.iter_mut().for_each(Holder::rest);
        self.holders.iter().for_each(Holder::await_rest);
    }

    fn log(&self) -> PathBuf {
        self.orders.log.clone()
    }

    fn read(&self) -> Holders {
        Holders::read(&self.log()).unwrap()
    }
}

/// Takes part with the same times, and takes nothing.
async fn observer(venue: &Venue, orders: &Orders) -> Process {
    let builder = venue.builder().heartbeat(orders.heartbeat);
    let backend = builder
        .lease(orders.lease)
        .connect_lazy()
        .expect("a good URL");
    backend.ready().await.expect("a server");
    let sharing = backend.strict();
    Process::with(backend, sharing, |builder| {
        builder.concurrency(orders.limit)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_or_paused_or_restarted_the_limit_holds() {
    let _turn = ONE_AFTER_THE_OTHER.lock().await;
    let server = Server::with(Options {
        appendonly: true,
        ..Options::default()
    });
    let venue = Venue::new(server.url());
    let lease = 2_000 * MS;
    let mut crowd = Crowd::gather(&venue, 8, 250 * MS, lease);
    let observer = observer(&venue, &crowd.orders).await;
    crowd.fill();
    let mut random = random();
    let (start, mut restarts, mut pauses) = (Instant::now(), 0, [0; 2]);
    while start.elapsed() < time() {
        sleep(MS * random.random_range(50..500)).await;
        crowd.resume(|due| due <= Instant::now());
        let victim = random.random_range(0..crowd.holders.len());
        match random.random_range(0..100) {
            0..70 => crowd.kill(victim),
            70..90 => {
                pauses[0] += 1;
                crowd.pause(victim, lease * random.random_range(2..60) / 100);
            }
            _ => {
                pauses[1] += 1;
                crowd.pause(victim, lease * random.random_range(110..160) / 100);
            }
        }
        if start.elapsed() > (restarts + 1) * 6 * Duration::from_secs(1) {
            restarts += 1;
            server.restart();
        }
    }
    crowd.rest();
    until("all is back", || {
        observer.health().in_use == 0 && observer.health().waiting == 0
    })
    .await;
    assert_eq!(observer.backend.audit("db").await.unwrap(), []);

    let holders = crowd.read();
    let granted: usize = holders.tallies().values().map(|tally| tally.granted).sum();
    println!(
        "{granted} permits, {} kills, {pauses:?} pauses within and beyond the lease, {restarts} restarts; \
         by lease at most {}, at work at most {}",
        crowd.kills,
        holders.peak(Until::Lost).units,
        holders.peak(Until::Returned).units,
    );
    holders.assert_at_most(10);
    assert_eq!(holders.peak(Until::Lost).units, 10, "it was in full use");
    assert_eq!(holders.unreturned().count(), 0);
    assert!(granted > 1_000, "{granted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_held_is_soon_free() {
    let _turn = ONE_AFTER_THE_OTHER.lock().await;
    let server = Server::start();
    // Each of them has one process at a time that was killed and is still counted.
    let mut crowds: Vec<_> = (0..4)
        .map(|n| {
            let venue = Venue::new(server.url()).named(&format!("crowd{n}"));
            let mut crowd = Crowd::gather(&venue, 3, DEFAULT_HEARTBEAT, DEFAULT_LEASE);
            crowd.orders.hold = (30, 60);
            crowd.orders.limit = 4;
            crowd.orders.units = 1;
            crowd.fill();
            crowd
        })
        .collect();
    sleep(1_500 * MS).await;
    let (start, mut random) = (Instant::now(), random());
    while start.elapsed() < time() {
        for crowd in &mut crowds {
            sleep(MS * random.random_range(400..600)).await;
            crowd.kill(random.random_range(0..3));
        }
    }
    sleep(2_000 * MS).await;
    let mut times = Vec::new();
    for crowd in &mut crowds {
        crowd.rest();
        let holders = crowd.read();
        holders.assert_at_most(4);
        for recovery in holders.recoveries(4) {
            if recovery.units > 0 {
                times.push(recovery.all.expect("all of it came back"));
            }
        }
    }
    times.sort();
    let part = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "capacity is back after the kill of a holder: {} kills, p50 {:?}, p90 {:?}, p99 {:?}, most {:?}",
        times.len(),
        part(50),
        part(90),
        part(99),
        times[times.len() - 1]
    );
    assert!(times.len() >= 10, "{} kills were not enough", times.len());
    assert!(part(99) <= 1_500 * MS, "{times:?}");
}
