//! Threads, runtimes and chance. Nothing asserts how long anything takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::poll;
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, yield_now},
};
use tower_concurrency_limiter::{
    Claim, Lane, Lanes, Limiter, Permit, Rate, Reason, Resource,
    adaptive::{Aimd, Outcome},
};

const DB: usize = 3;
const FS: usize = 2;

#[derive(Clone)]
struct System {
    db: Resource,
    fs: Resource,
    limiter: Limiter,
    /// Counted by those who hold a permit, to be compared with the limits.
    db_used: Arc<AtomicUsize>,
    fs_used: Arc<AtomicUsize>,
}

impl System {
    fn new() -> Self {
        let (db, fs) = (Resource::new("db", DB), Resource::new("fs", FS));
        Self {
            limiter: Limiter::new(Duration::from_secs(600), [&db, &fs]),
            db,
            fs,
            db_used: Arc::default(),
            fs_used: Arc::default(),
        }
    }

    fn set(&self, dice: &mut Dice) -> Vec<Claim> {
        match dice.roll(6) {
            0 => vec![self.db.units(1)],
            1 => vec![self.fs.units(1)],
            2 => vec![self.db.units(1), self.fs.units(1)],
            3 => vec![self.db.units(2)],
            4 => vec![self.db.units(2), self.fs.units(2)],
            _ => vec![self.db.units(DB), self.fs.units(FS)],
        }
    }

    /// Uses what was granted for a while.
    async fn work(&self, permit: Permit, rounds: usize) {
        let used = |resource: &Resource| match resource.name() {
            "db" => (&self.db_used, DB),
            _ => (&self.fs_used, FS),
        };
        for (resource, units) in permit.claims() {
            let (used, limit) = used(resource);
            let before = used.fetch_add(units, Ordering::SeqCst);
            assert!(before + units <= limit, "more than {limit} of {resource:?}");
        }
        for _ in 0..rounds {
            yield_now().await;
        }
        for (resource, units) in permit.claims() {
            used(resource).0.fetch_sub(units, Ordering::SeqCst);
        }
    }

    /// A client of chance: waits, gives up, drops a grant unseen, works.
    async fn client(self, seed: u64) -> usize {
        let mut dice = Dice(seed * 2 + 1);
        let mut served = 0;
        for _ in 0..200 {
            let set = self.set(&mut dice);
            match dice.roll(8) {
                0 => {
                    if let Ok(permit) = self.limiter.try_acquire(set) {
                        self.work(permit, dice.roll(3)).await;
                        served += 1;
                    }
                }
                1 => {
                    let mut acquire = self.limiter.acquire(set);
                    drop(poll!(&mut acquire));
                    for _ in 0..dice.roll(4) {
                        yield_now().await;
                    }
                }
                2 => {
                    let request = self.limiter.request(set);
                    let brief = Duration::from_micros(dice.roll(500) as u64);
                    match request.timeout(brief).acquire().await {
                        Ok(permit) => self.work(permit, dice.roll(3)).await,
                        Err(rejection) => {
                            let expected = match brief.is_zero() {
                                true => Reason::NotNow,
                                false => Reason::Timeout,
                            };
                            assert_eq!(rejection.reason(), expected);
                        }
                    }
                }
                3 => {
                    let request = self.limiter.request(set).max_waiting(dice.roll(4));
                    match request.acquire().await {
                        Ok(permit) => self.work(permit, dice.roll(3)).await,
                        Err(rejection) => assert_eq!(rejection.reason(), Reason::QueueFull),
                    }
                }
                _ => {
                    let permit = self.limiter.acquire(set).await;
                    self.work(permit.expect("served"), dice.roll(4)).await;
                    served += 1;
                }
            }
        }
        served
    }

    fn assert_idle(&self) {
        for resource in [&self.db, &self.fs] {
            assert_eq!(resource.in_use(), 0, "all is returned: {resource:?}");
            assert_eq!(resource.waiting(), 0, "nobody is left: {resource:?}");
        }
        let all = [self.db.units(DB), self.fs.units(FS)];
        assert!(self.limiter.try_acquire(all).is_ok(), "whole capacity");
    }
}

/// xorshift64: the same seed, the same choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % sides
    }
}

fn multi_thread() -> Runtime {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

async fn clients(system: System, seeds: std::ops::Range<u64>) -> usize {
    let mut clients = JoinSet::new();
    for seed in seeds {
        clients.spawn(system.clone().client(seed));
    }
    clients.join_all().await.into_iter().sum()
}

#[test]
fn clients_of_chance_in_one_runtime() {
    let system = System::new();
    let served = multi_thread().block_on(clients(system.clone(), 0..64));
    assert!(served > 0);
    system.assert_idle();
}

/// One of them current-thread, and a third one that comes and goes with those who wait in it.
#[test]
fn clients_of_chance_in_several_runtimes() {
    let system = System::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (system, done) = (&system, &done);
        let others = [
            scope.spawn(|| multi_thread().block_on(clients(system.clone(), 0..32))),
            scope.spawn(|| {
                let runtime = Builder::new_current_thread().enable_all().build();
                runtime
                    .expect("a runtime")
                    .block_on(clients(system.clone(), 32..64))
            }),
        ];
        scope.spawn(move || {
            let mut seed = 64;
            while !done.load(Ordering::SeqCst) {
                let passing = multi_thread();
                for _ in 0..8 {
                    passing.spawn(waits_and_is_shut_down(system.clone(), seed));
                    seed += 1;
                }
                let handle = passing.handle().clone();
                let blocking = waits_and_is_shut_down(system.clone(), seed);
                passing.spawn_blocking(move || handle.block_on(blocking));
                drop(passing);
            }
        });
        for other in others {
            assert!(other.join().expect("no panics") > 0, "some are served");
        }
        done.store(true, Ordering::SeqCst);
    });
    system.assert_idle();
}

/// Its permits and places in the queue go down with its runtime. One that is polled once more while
/// that shuts down cannot wait there.
async fn waits_and_is_shut_down(system: System, seed: u64) {
    let mut dice = Dice(seed * 2 + 1);
    for _ in 0..1_000 {
        let set = system.set(&mut dice);
        let permit = match system.limiter.acquire(set).await {
            Ok(permit) => permit,
            Err(rejection) => {
                assert_eq!(rejection.reason(), Reason::Closed);
                return;
            }
        };
        yield_now().await;
        drop(permit);
    }
}

/// Aborted tasks of a runtime that lives on.
#[test]
fn aborted_clients_leave_nothing_behind() {
    let system = System::new();
    multi_thread().block_on(async {
        for round in 0..50 {
            let mut clients = JoinSet::new();
            for seed in 0..16 {
                clients.spawn(waits_and_is_shut_down(system.clone(), 16 * round + seed));
            }
            for _ in 0..round {
                yield_now().await;
            }
            clients.shutdown().await;
        }
    });
    system.assert_idle();
}

/// A set takes all or nothing: whoever is refused at one resource has never been seen at the
/// others.
#[test]
fn a_refused_set_does_not_take_an_idle_resource_even_for_a_moment() {
    let (db, fs) = (Resource::new("db", 1), Resource::new("fs", 1));
    let limiter = Limiter::new(Duration::ZERO, [&db, &fs]);
    let _fs_is_busy = limiter.try_acquire([&fs]).expect("idle");
    let done = AtomicBool::new(false);
    let refused = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                assert!(limiter.try_acquire([&db, &fs]).is_err(), "fs is busy");
            }
        });
        let refused = (0..200_000)
            .filter(|_| limiter.try_acquire([&db]).is_err())
            .count();
        done.store(true, Ordering::SeqCst);
        refused
    });
    assert_eq!(refused, 0, "db was idle all along");
}

/// Lanes, reserves, two rates, an adaptive limit and live changes at once: nobody sleeps for ever,
/// and in the end everything is back.
#[test]
fn all_rules_at_once() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let lanes = Lanes::shared([
            Lane::new("user").weight(3).reserve(1),
            Lane::new("batch").max(3),
        ]);
        let db = Resource::builder("db")
            .concurrency(6)
            .lanes(lanes.with_keyed(2))
            .reserve(1, 200)
            .rate(Rate::new(200, Duration::from_millis(5)))
            .load_rate(Rate::new(2_000, Duration::from_millis(5)).burst(500))
            .build();
        let adaptive = Aimd::between(2, 6).build();
        let fs = Resource::builder("fs")
            .adaptive(adaptive)
            .max_waiting(5_000)
            .build();
        let limiter = Limiter::new(Duration::from_secs(600), [&db, &fs]);
        let mut clients = JoinSet::new();
        for seed in 0..8 {
            clients.spawn(ruled(limiter.clone(), db.clone(), fs.clone(), seed));
        }
        let all = tokio::time::timeout(Duration::from_secs(120), clients.join_all());
        all.await.expect("nobody sleeps for ever");
        limiter.drained().await;
        assert_eq!((db.in_use(), db.waiting()), (0, 0));
        assert_eq!((fs.in_use(), fs.waiting()), (0, 0));
    });
}

async fn ruled(limiter: Limiter, db: Resource, fs: Resource, seed: u64) {
    let mut dice = Dice(seed * 2 + 1);
    for _ in 0..400 {
        let set = match dice.roll(4) {
            0 => vec![fs.units(1 + dice.roll(2))],
            1 => vec![db.units(1), fs.units(1)],
            _ => vec![db.units(1 + dice.roll(2))],
        };
        let lane = ["user", "batch", "one", "two", "three", "four"][dice.roll(6)];
        let request = limiter
            .request(set)
            .lane(lane)
            .priority(dice.roll(256) as u8)
            .load(dice.roll(40) as u64);
        match dice.roll(10) {
            0 => db.set_limit(4 + dice.roll(4)).expect("in range"),
            1 => db.set_reserve(dice.roll(2), 200).expect("there is one"),
            2 => {
                let batch = Lane::new("batch").max(2 + dice.roll(3));
                db.set_lane(&batch).expect("declared");
            }
            3 => {
                let mut acquire = request.acquire();
                drop(poll!(&mut acquire));
                yield_now().await;
            }
            4 => drop(request.try_acquire()),
            _ => {
                let mut permit = request.acquire().await.expect("served");
                permit.settle_load(dice.roll(40) as u64);
                if dice.roll(5) == 0 {
                    permit.set_outcome(Outcome::Overload);
                }
                yield_now().await;
            }
        }
    }
}
