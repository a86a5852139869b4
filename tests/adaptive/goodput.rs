//! What adaptive limits get done in ten minutes of paused time, under the loads in which limiters
//! fail, beside the best of the fixed limits.
//!
//! The table in the docs of `adaptive` is printed by
//! `cargo test --test adaptive goodput -- --nocapture --test-threads 1`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::poll;
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower_concurrency_limiter::{
    Limiter, Resource,
    adaptive::{Aimd, Gradient2, Outcome},
};

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// The time of a job on average, while the resource is not overloaded.
const JOB: Duration = Duration::from_millis(500);

/// How long clients wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the limiter keeps them.
const TIMEOUT: Duration = Duration::from_millis(2_500);

/// After which a refused client comes back.
const BACKOFF: Duration = Duration::from_secs(1);

/// No adaptive limit goes below; a wide claim has as many units.
const FLOOR: usize = 4;

/// Works on 8 units at once in full speed. More share that speed, and get in each other's way.
struct Database {
    servers: AtomicUsize,
    units: AtomicUsize,
    random: AtomicU64,
    /// Units of work that were done while the client was there.
    done: AtomicUsize,
}

impl Database {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            servers: 8.into(),
            units: 0.into(),
            random: 1.into(),
            done: 0.into(),
        })
    }

    async fn work(self: Arc<Self>, units: usize) {
        let load = self.units.fetch_add(units, Ordering::Relaxed) + units;
        let _busy = Busy(&self, units);
        let servers = self.servers.load(Ordering::Relaxed) as f64;
        let excess = (load as f64 - servers).max(0.0) / servers;
        let slowdown = (1.0 + excess) * (1.0 + (excess / 4.0).powi(2));
        sleep(JOB.mul_f64(slowdown * (0.5 + self.random()))).await;
    }

    /// From 0 to 1, evenly: xorshift64*, of G. Marsaglia and S. Vigna.
    fn random(&self) -> f64 {
        let mut random = self.random.load(Ordering::Relaxed);
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        self.random.store(random, Ordering::Relaxed);
        let bits = random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

/// Units that are worked on.
struct Busy<'a>(&'a Database, usize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.units.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// What the clients do.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// 60 clients at once, all let in at the start: nobody gets an answer in time.
    GiveUp,
    /// 18 streams of some minutes beside 40 clients.
    Streams,
    /// One in four claims as much as the floor.
    Wide,
    /// 160 requests in a second, of which 16 can be served.
    TenTimes,
    /// 8 servers, then 4, then 8 again.
    Halved,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Fixed(usize),
    Aimd,
    Gradient2,
}

impl Load {
    fn resource(self, limit: Limit) -> Resource {
        let start = match self {
            Self::GiveUp => 60,
            _ => 20,
        };
        let db = Resource::builder("db");
        match limit {
            Limit::Fixed(units) => db.concurrency(units),
            Limit::Aimd => {
                // twice the slowest job of a quiet day
                let late = Duration::from_millis(1_500);
                let aimd = Aimd::between(FLOOR, 200).start(start).timeout(late);
                db.adaptive(aimd.build())
            }
            Limit::Gradient2 => db.adaptive(Gradient2::between(FLOOR, 200).start(start).build()),
        }
        .build()
    }

    /// For how long it goes on. A fixed limit is steady under a steady crowd.
    fn duration(self, limit: Limit) -> Duration {
        match (self, limit) {
            (Self::TenTimes, Limit::Fixed(_)) => TEN_MINUTES / 5,
            _ => TEN_MINUTES,
        }
    }

    /// The goodput, in units of work per second.
    fn goodput(self, limit: Limit) -> f64 {
        let duration = self.duration(limit);
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let done = runtime.block_on(async {
            let db = self.resource(limit);
            let world = World {
                limiter: Limiter::new(TIMEOUT, [&db]),
                database: Database::new(),
                db,
            };
            let mut clients = self.clients(&world);
            sleep(duration / 3).await;
            if matches!(self, Self::Halved) {
                world.database.servers.store(4, Ordering::Relaxed);
            }
            sleep(duration / 3).await;
            world.database.servers.store(8, Ordering::Relaxed);
            sleep(duration / 3).await;
            clients.shutdown().await;
            world.limiter.drained().await;
            world.database.done.load(Ordering::Relaxed)
        });
        done as f64 / duration.as_secs_f64()
    }

    fn clients(self, world: &World) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        let users = match self {
            Self::GiveUp => 60,
            Self::TenTimes => 0,
            _ => 40,
        };
        for user in 0..users {
            let units = match self {
                Self::Wide if user % 4 == 0 => FLOOR,
                _ => 1,
            };
            clients.spawn(world.clone().client(units));
        }
        if matches!(self, Self::Streams) {
            for _ in 0..18 {
                clients.spawn(world.clone().stream());
            }
        }
        if matches!(self, Self::TenTimes) {
            clients.spawn(world.clone().crowd(Duration::from_micros(6_250)));
        }
        clients
    }
}

#[derive(Clone)]
struct World {
    limiter: Limiter,
    db: Resource,
    database: Arc<Database>,
}

impl World {
    async fn client(self, units: usize) {
        loop {
            let work = Arc::clone(&self.database).work(units);
            let call = self.limiter.run([self.db.units(units)], || work);
            match timeout(PATIENCE, call).await {
                Ok(Ok(())) => drop(self.database.done.fetch_add(units, Ordering::Relaxed)),
                Ok(Err(_)) => sleep(BACKOFF).await,
                Err(_) => {}
            }
        }
    }

    /// Holds a unit for 75 to 225 s, and is no load.
    async fn stream(self) {
        loop {
            if let Ok(mut permit) = self.limiter.acquire([&self.db]).await {
                permit.set_outcome(Outcome::Ignore);
                let length = 75.0 + 150.0 * self.database.random();
                sleep(Duration::from_secs_f64(length)).await;
            }
            sleep(BACKOFF).await;
        }
    }

    /// New clients at a steady pace, who do not come back.
    async fn crowd(self, pause: Duration) {
        let mut clients = JoinSet::new();
        let begun = Instant::now();
        for request in 1_u32.. {
            let world = self.clone();
            let mut client = Box::pin(async move {
                let work = Arc::clone(&world.database).work(1);
                let call = world.limiter.run([&world.db], || work);
                if let Ok(Ok(())) = timeout(PATIENCE, call).await {
                    world.database.done.fetch_add(1, Ordering::Relaxed);
                }
            });
            // Those who are refused at once need no task.
            if poll!(&mut client).is_pending() {
                clients.spawn(client);
            }
            while clients.try_join_next().is_some() {}
            sleep_until(begun + pause * request).await;
        }
    }
}

#[track_caller]
fn comes_near_the_best_fixed_limit(load: Load) {
    let fixed = match load {
        Load::Streams => [24, 26, 28, 30, 34],
        _ => [6, 8, 10, 12, 16],
    };
    let (units, best) = fixed
        .map(|units| (units, load.goodput(Limit::Fixed(units))))
        .into_iter()
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .expect("some");
    for limit in [Limit::Aimd, Limit::Gradient2] {
        let goodput = load.goodput(limit);
        let share = goodput / best;
        println!("| {load:?} | {units}: {best:.1} | {limit:?} {goodput:.1} | {share:.2} |");
        assert!(share >= 0.8, "{load:?} under {limit:?}: {share:.2}");
    }
}

#[test]
fn clients_that_give_up() {
    comes_near_the_best_fixed_limit(Load::GiveUp);
}

#[test]
fn streams_beside_short_work() {
    comes_near_the_best_fixed_limit(Load::Streams);
}

#[test]
fn claims_at_the_floor() {
    comes_near_the_best_fixed_limit(Load::Wide);
}

#[test]
fn ten_times_overload() {
    comes_near_the_best_fixed_limit(Load::TenTimes);
}

#[test]
fn capacity_halved_and_doubled() {
    comes_near_the_best_fixed_limit(Load::Halved);
}
