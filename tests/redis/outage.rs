//! The server is gone under load, for three seconds: what each policy says then, and that all goes
//! on by itself when it is back.
//!
//! `OUTAGE_SECONDS=10` leaves it away for longer.

use std::{collections::BTreeMap, env, time::Duration};

use crate::processes::{Load, Process, Request, Requests, Venue, at_rest, until};
use test_support::{
    Server,
    holders::{Nanos, now},
};
use tokio::time::sleep;
use tower_concurrency_limiter::{
    Reason,
    redis::{DEFAULT_COLD_START, SharedState, WhenUnavailable},
};

const MS: Duration = Duration::from_millis(1);
const LIMIT: usize = 6;
const PATIENCE: Duration = Duration::from_secs(1);
/// For a request that is answered at once.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What happened before, while and after the server was away.
struct Outage {
    requests: Requests,
    /// When all processes knew.
    begin: Nanos,
    /// When the server answered again.
    end: Nanos,
    /// When all processes had come back.
    back: Nanos,
}

impl Outage {
    /// Those that came while the server was away, and were to be answered before it was back.
    fn meanwhile(&self, patience: Duration) -> impl Iterator<Item = &Request> {
        let end = self.end - (patience + AT_ONCE).as_nanos() as Nanos;
        self.requests
            .all
            .iter()
            .filter(move |request| (self.begin..end).contains(&request.asked))
    }

    fn outcomes(&self, patience: Duration) -> BTreeMap<&'static str, usize> {
        let mut outcomes = BTreeMap::new();
        for request in self.meanwhile(patience) {
            let outcome = match request.outcome {
                Ok(hold) if hold.token.is_none() => "let in",
                Ok(_) => "granted",
                Err(reason) => reason.as_str(),
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        outcomes
    }

    /// The most that was held at once in some time, and of that by one process.
    fn most(&self, from: Nanos, to: Nanos) -> (usize, usize) {
        let held = |at: Nanos, process: Option<usize>| {
            let mut all = self.requests.all.iter();
            let is_held = |r: &&Request| {
                let is_its = process.is_none_or(|process| process == r.process);
                is_its && r.answered <= at && r.outcome.is_ok_and(|hold| hold.returned > at)
            };
            all.by_ref().filter(is_held).count()
        };
        let starts = self.requests.all.iter().map(|request| request.answered);
        let starts: Vec<_> = starts.filter(|at| (from..to).contains(at)).collect();
        let most = |process| {
            starts
                .iter()
                .map(|&at| held(at, process))
                .max()
                .unwrap_or(0)
        };
        (most(None), (0..3).map(|n| most(Some(n))).max().unwrap_or(0))
    }
}

async fn outage(policy: WhenUnavailable) -> Outage {
    let server = Server::start();
    let venue = Venue::new(server.url());
    let mut processes = Vec::new();
    for _ in 0..3 {
        let backend = venue
            .builder()
            .cold_start(DEFAULT_COLD_START)
            .connect_lazy();
        let backend = backend.unwrap();
        backend.ready().await.unwrap();
        let sharing = backend.strict().when_unavailable(policy);
        processes.push(Process::with(backend, sharing, |b| b.concurrency(LIMIT)).await);
    }
    let all = |state| processes.iter().all(|p| p.health().state == state);
    until("they are three, and have learned", || {
        all(SharedState::Connected) && processes.iter().all(|p| p.health().processes == 3)
    })
    .await;
    let load: Vec<_> = processes.iter().map(|process| (process, 4)).collect();
    let load = Load::start(&load, PATIENCE, (10, 40));
    sleep(1_000 * MS).await;
    assert!(
        load.so_far()
            .iter()
            .all(|request| request.token().is_some())
    );
    server.kill();
    until("they know", || all(SharedState::Unavailable)).await;
    let begin = now();
    let seconds = env::var("OUTAGE_SECONDS").ok();
    let seconds = seconds.map_or(3, |seconds| seconds.parse().expect("seconds"));
    sleep(Duration::from_secs(seconds)).await;
    server.restart();
    let end = now();
    let is_back = |p: &Process| {
        matches!(
            p.health().state,
            SharedState::Connected | SharedState::Recovering
        )
    };
    until("they are back", || processes.iter().all(is_back)).await;
    let back = now();
    until("they have learned", || all(SharedState::Connected)).await;
    sleep(1_000 * MS).await;
    let requests = load.stop().await;
    at_rest(&processes).await;
    let outage = Outage {
        requests,
        begin,
        end,
        back,
    };
    outage.check_recovery(policy);
    outage
}

impl Outage {
    fn check_recovery(&self, policy: WhenUnavailable) {
        let after = |at: Nanos| Duration::from_nanos(at - self.end);
        let granted = self.requests.all.iter().filter(|r| r.token().is_some());
        let granted: Vec<_> = granted.filter(|r| r.answered > self.end).collect();
        let first = granted
            .iter()
            .map(|r| r.answered)
            .min()
            .expect("it goes on");
        let full = self
            .requests
            .holders
            .reached(LIMIT as u64, first)
            .expect("in full");
        let patience = match policy {
            WhenUnavailable::Wait => PATIENCE,
            _ => Duration::ZERO,
        };
        println!(
            "{policy}: {:?} meanwhile; all are back after {:?}, the first grant comes after {:?}, all is in use after {:?}",
            self.outcomes(patience),
            after(self.back),
            after(first),
            after(full),
        );
        assert!(after(self.back) < 1_000 * MS, "{:?}", after(self.back));
        // Those who may hold something that the server does not know of have a second to say so.
        assert!(
            after(first) < DEFAULT_COLD_START + 1_500 * MS,
            "{:?}",
            after(first)
        );
        // What was let in meanwhile is paid.
        let paid = first.max(self.back) + (200 * MS).as_nanos() as Nanos;
        let (most, _) = self.most(paid, Nanos::MAX);
        assert_eq!(most, LIMIT, "it is enforced again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed() {
    let outage = outage(WhenUnavailable::FailClosed).await;
    let outcomes = outage.outcomes(Duration::ZERO);
    assert_eq!(
        outcomes.keys().collect::<Vec<_>>(),
        [&Reason::Unavailable.as_str()]
    );
    let slowest = outage.meanwhile(Duration::ZERO).map(Request::waited).max();
    assert!(slowest.unwrap() < AT_ONCE, "{slowest:?}");
    outage.requests.holders.assert_at_most(LIMIT as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open() {
    let outage = outage(WhenUnavailable::FailOpen).await;
    let outcomes = outage.outcomes(Duration::ZERO);
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), [&"let in"]);
    let slowest = outage.meanwhile(Duration::ZERO).map(Request::waited).max();
    assert!(slowest.unwrap() < AT_ONCE, "{slowest:?}");
    assert_eq!(
        outage.most(outage.begin, outage.end),
        (12, 4),
        "all of them"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wait() {
    let outage = outage(WhenUnavailable::Wait).await;
    let outcomes = outage.outcomes(PATIENCE);
    assert_eq!(
        outcomes.keys().collect::<Vec<_>>(),
        [&Reason::Unavailable.as_str()]
    );
    let waited: Vec<_> = outage.meanwhile(PATIENCE).map(Request::waited).collect();
    assert!(
        waited
            .iter()
            .all(|waited| (PATIENCE..PATIENCE + AT_ONCE).contains(waited)),
        "{waited:?}"
    );
    outage.requests.holders.assert_at_most(LIMIT as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_share() {
    let outage = outage(WhenUnavailable::LocalShare).await;
    let outcomes = outage.outcomes(Duration::ZERO);
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), [&"let in"]);
    assert_eq!(
        outage.most(outage.begin, outage.end),
        (LIMIT, 2),
        "a third each"
    );
}
