//! Requests without end, by processes that are part of the test.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tempfile::TempDir;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_concurrency_limiter::{Limiter, Reason, Resource};

use super::{Process, holder::hold_valid};
use test_support::holders::{Holders, Log, Nanos, now};

/// What became of a request for one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) process: usize,
    pub(crate) asked: Nanos,
    /// When it was granted or refused.
    pub(crate) answered: Nanos,
    pub(crate) outcome: Result<Hold, Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Stamped before it was returned.
    pub(crate) returned: Nanos,
    /// The epoch and the number of the grant, if the server granted it.
    pub(crate) token: Option<(u64, u64)>,
}

impl Request {
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.answered - self.asked)
    }

    pub(crate) fn token(&self) -> Option<(u64, u64)> {
        self.outcome.ok().and_then(|hold| hold.token)
    }
}

pub(crate) struct Load {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    requests: Arc<Mutex<Vec<Request>>>,
    folder: TempDir,
}

/// All requests of a load, and who held what.
pub(crate) struct Requests {
    pub(crate) all: Vec<Request>,
    pub(crate) holders: Holders,
}

impl Load {
    /// So many requests at once in each process, each of which waits for so long at most, and then
    /// holds one unit for some milliseconds.
    pub(crate) fn start(
        processes: &[(&Process, usize)],
        patience: Duration,
        hold: (u64, u64),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stop = watch::Sender::new(false);
        let requests = Arc::default();
        let mut tasks = JoinSet::new();
        for (number, (process, at_once)) in processes.iter().enumerate() {
            let log = Log::open(&folder.path().join("log"), number as u32);
            let log = Arc::new(log.expect("a log"));
            for task in 0..*at_once {
                let task = Task {
                    process: number,
                    limiter: process.limiter.clone(),
                    db: process.db.clone(),
                    log: Arc::clone(&log),
                    requests: Arc::clone(&requests),
                    random: SmallRng::seed_from_u64((number * 100 + task) as u64),
                };
                tasks.spawn(task.work(patience, hold, stop.subscribe()));
            }
        }
        Self {
            stop,
            tasks,
            requests,
            folder,
        }
    }

    /// What has been answered so far.
    pub(crate) fn so_far(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// Ends when all has been given back.
    pub(crate) async fn stop(mut self) -> Requests {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.transpose().unwrap().is_some() {} };
        timeout(Duration::from_secs(20), all)
            .await
            .expect("each request is answered in time");
        let holders = Holders::read(&self.folder.path().join("log")).expect("a log");
        Requests {
            all: self.so_far(),
            holders,
        }
    }
}

struct Task {
    process: usize,
    limiter: Limiter,
    db: Resource,
    log: Arc<Log>,
    requests: Arc<Mutex<Vec<Request>>>,
    random: SmallRng,
}

impl Task {
    async fn work(mut self, patience: Duration, hold: (u64, u64), stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let time = Duration::from_millis(self.random.random_range(hold.0..=hold.1));
            let number = self.log.asked();
            let asked = now();
            let request = self.limiter.request([&self.db]).timeout(patience);
            let (answered, outcome) = match request.acquire().await {
                Ok(permit) => {
                    let granted = self.log.granted(number, 1);
                    let token = permit.fencing_token(&self.db);
                    let known = hold_valid(&permit, granted, time).await;
                    self.log.lost(number, known);
                    let returned = now();
                    self.log.returned(number);
                    drop(permit);
                    let token = token.map(|token| (token.epoch(), token.sequence()));
                    (granted, Ok(Hold { returned, token }))
                }
                Err(rejection) => {
                    let at = now();
                    self.log.refused(number);
                    sleep(Duration::from_millis(10)).await;
                    (at, Err(rejection.reason()))
                }
            };
            let request = Request {
                process: self.process,
                asked,
                answered,
                outcome,
            };
            self.requests.lock().expect("no panic").push(request);
        }
    }
}

impl Requests {
    pub(crate) fn granted(&self) -> usize {
        self.all.iter().filter(|r| r.outcome.is_ok()).count()
    }

    /// What the server granted, in its order.
    pub(crate) fn in_order(&self) -> Vec<Request> {
        let mut granted: Vec<_> = self.all.iter().filter(|r| r.token().is_some()).collect();
        granted.sort_by_key(|request| request.token());
        granted.into_iter().copied().collect()
    }

    /// How late each was that the server granted: since it had come, and a unit was free for it.
    /// One is free for the n-th when all but `limit` of those before it have been returned.
    pub(crate) fn lateness(&self, limit: usize) -> Vec<Duration> {
        let granted = self.in_order();
        let mut returns: Vec<_> = granted
            .iter()
            .filter_map(|request| request.outcome.ok().map(|hold| hold.returned))
            .collect();
        returns.sort_unstable();
        let late = |(n, request): (usize, &Request)| {
            let free = n.checked_sub(limit).map_or(0, |n| returns[n]);
            Duration::from_nanos(request.answered.saturating_sub(request.asked.max(free)))
        };
        granted.iter().enumerate().map(late).collect()
    }

    /// Those before whom somebody went who had come so much later.
    pub(crate) fn overtaken(&self, by: Duration) -> Vec<Request> {
        let (mut latest, mut overtaken) = (0, self.in_order());
        overtaken.retain(|request| {
            let is_overtaken = latest > request.asked + by.as_nanos() as Nanos;
            latest = latest.max(request.asked);
            is_overtaken
        });
        overtaken
    }

    /// The longest time in which nobody was granted anything, from some time on.
    pub(crate) fn longest_pause(&self, from: Nanos) -> Duration {
        let mut times: Vec<_> = self
            .all
            .iter()
            .filter(|request| request.outcome.is_ok() && request.answered >= from)
            .map(|request| request.answered)
            .collect();
        times.push(from);
        times.sort_unstable();
        let pauses = times.windows(2).map(|pair| pair[1] - pair[0]);
        Duration::from_nanos(pauses.max().unwrap_or(0))
    }
}
