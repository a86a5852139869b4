//! What goes wrong with a shared limit at an awkward moment.

use std::time::{Duration, Instant};

use crate::processes::{Process, Venue, until};
use futures_util::{future::join_all, poll};
use test_support::{Cluster, Proxy, Server};
use tokio::time::{sleep, timeout};
use tower_concurrency_limiter::{
    Rate, Reason,
    redis::{SharedState, WhenUnavailable},
};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_time_is_not_kept_by_an_outage() {
    let server = Server::start();
    let process =
        Process::quick(Venue::new(server.url()).builder(), 1, WhenUnavailable::Wait).await;
    server.pause();
    let answer = timeout(3_000 * MS, process.within(Duration::ZERO)).await;
    server.resume();
    assert_eq!(
        answer.expect("it does not wait").unwrap_err(),
        Reason::Unavailable
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_with_errors_is_unavailable() {
    let server = Server::start();
    let process = Process::quick(
        Venue::new(server.url()).builder(),
        1,
        WhenUnavailable::FailClosed,
    )
    .await;
    server.command(&["DEL", "cq1:{test/db}:s"]);
    server.command(&["SET", "cq1:{test/db}:s", "something else"]);
    assert_eq!(
        process.within(3_000 * MS).await.unwrap_err(),
        Reason::Unavailable
    );
    timeout(2_000 * MS, process.backend.close())
        .await
        .expect("it does not wait for the server to recover");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_not_stormed() {
    let server = Server::start();
    let replica = Server::replica_of(&server);
    let backend = Venue::new(replica.url()).process().await;
    let db = tower_concurrency_limiter::Resource::builder("db")
        .concurrency(1)
        .shared(&backend)
        .build();
    let _limiter = tower_concurrency_limiter::Limiter::new(MS, [&db]);
    let connections = || -> u64 {
        let count = replica.info("total_connections_received");
        count.unwrap().parse().unwrap()
    };
    let before = connections();
    sleep(2_000 * MS).await;
    let made = connections() - before;
    assert!(made < 100, "{made} connections in two seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_let_in_while_a_session_comes_back_is_reported() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let venue = Venue::new(server.url_at(proxy.port()));
    let process = Process::quick(venue.builder(), 2, WhenUnavailable::FailOpen).await;
    let watcher = Process::quick(
        Venue::new(server.url()).builder(),
        2,
        WhenUnavailable::FailClosed,
    )
    .await;
    let mut held = vec![process.acquire().await];
    proxy.set(|faults| (faults.holds_requests, faults.holds_replies) = (true, true));
    until("it is noticed", || {
        process.health().state == SharedState::Unavailable
    })
    .await;
    proxy.set(|faults| faults.delay = 60 * MS);
    proxy.set(|faults| (faults.holds_requests, faults.holds_replies) = (false, false));
    // Somebody is let in at every moment of the return.
    while process.health().state == SharedState::Unavailable {
        if let Ok(permit) = process.within(Duration::ZERO).await {
            held.push(permit);
        }
        sleep(2 * MS).await;
    }
    proxy.heal();
    let count = held.len();
    sleep(400 * MS).await;
    assert_eq!(watcher.health().in_use, count, "all that is held counts");
    let first = held.remove(0);
    drop(held);
    sleep(400 * MS).await;
    assert_eq!(watcher.health().in_use, 1, "the first one is still held");
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_nobody_collects_spends_nothing() {
    let server = Server::start();
    let process = Venue::new(server.url())
        .of(|builder| builder.concurrency(10).rate(Rate::per_minute(1)))
        .await;
    let mut acquiring = Box::pin(process.limiter.acquire([&process.db]));
    assert!(poll!(&mut acquiring).is_pending());
    sleep(200 * MS).await; // it is granted, and nobody looks
    assert_eq!(process.health().in_use, 1);
    drop(acquiring);
    until("it is given back", || process.health().in_use == 0).await;
    sleep(50 * MS).await;
    assert!(process.within(Duration::ZERO).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_bounded_while_the_server_is_away() {
    let server = Server::start();
    let backend = Venue::new(server.url())
        .builder()
        .heartbeat(100 * MS)
        .lease(1_000 * MS)
        .down_after(200 * MS)
        .connect_lazy()
        .unwrap();
    let sharing = backend.strict().when_unavailable(WhenUnavailable::Wait);
    let process = Process::with(backend, sharing, |b| b.concurrency(1).max_waiting(5)).await;
    server.kill();
    until("it is noticed", || {
        process.health().state == SharedState::Unavailable
    })
    .await;
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let (limiter, db) = (process.limiter.clone(), process.db.clone());
            tokio::spawn(async move {
                let request = limiter.request([&db]).timeout(300 * MS);
                request.acquire().await.unwrap_err().reason()
            })
        })
        .collect();
    let mut full = 0;
    for asked in asking {
        full += usize::from(asked.await.unwrap() == Reason::QueueFull);
    }
    assert_eq!(full, 45);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_to_a_node_that_is_known_for_long() {
    let cluster = Cluster::start(2);
    let slot_of = |name: &str| cluster.slot_of(&format!("cq1:{{test/{name}}}:s"));
    let to = 1 - cluster.owner_of(slot_of("db"));
    let there = (0..)
        .map(|n| format!("other{n}"))
        .find(|name| cluster.owner_of(slot_of(name)) == to)
        .unwrap();
    let backend = Venue::new(cluster.urls()[to].clone()).process().await;
    let sharing = backend.strict();
    let other = tower_concurrency_limiter::Resource::builder(there)
        .concurrency(1)
        .shared(sharing.clone())
        .build();
    let limiter = tower_concurrency_limiter::Limiter::new(5_000 * MS, [&other]);
    drop(limiter.acquire([&other]).await.unwrap()); // the connection there is the older one
    let process = Process::with(backend, sharing, |b| b.concurrency(1)).await;
    drop(process.acquire().await);
    let from = &cluster.nodes()[1 - to];
    from.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    sleep(300 * MS).await;
    drop(process.acquire().await);
    cluster.move_slot(slot_of("db"), to);
    let permit = process.within(8_000 * MS).await;
    drop(permit.expect("it follows"));
    assert_eq!(process.health().state, SharedState::Connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_is_called_back_at_once() {
    let server = Server::start();
    let venue = Venue::new(server.url());
    let (a, b) = (venue.cached(16).await, venue.cached(16).await);
    let busy = tokio::spawn({
        let (limiter, db) = (a.limiter.clone(), a.db.clone());
        async move {
            // All at once, so that nothing is left to be given to spare.
            drop(join_all((0..16).map(|_| limiter.acquire([&db]))).await);
            loop {
                drop(limiter.acquire([&db]).await);
                sleep(2 * MS).await;
            }
        }
    });
    sleep(150 * MS).await;
    let mut waited = Vec::new();
    for _ in 0..8 {
        let start = Instant::now();
        let request = b.limiter.request([b.db.units(8)]);
        let permit = timeout(5_000 * MS, request.acquire()).await;
        waited.push(start.elapsed());
        drop(permit.expect("they are called back").expect("in time"));
        sleep(150 * MS).await;
    }
    busy.abort();
    waited.sort();
    assert!(waited[7] < 250 * MS, "{waited:?}");
}

#[test]
fn it_works_outside_a_runtime() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let process = runtime.block_on(Venue::new(server.url()).db(1));
    let permit = block_on(process.limiter.acquire([&process.db]));
    drop(permit.expect("room"));
}

/// Without tokio.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_may_wait_for_ever() {
    let server = Server::start();
    let process = Venue::new(server.url()).db(1).await;
    let held = process.acquire().await;
    let waiter = process
        .queue(
            process
                .limiter
                .request([&process.db])
                .timeout(Duration::MAX),
        )
        .await;
    sleep(700 * MS).await;
    assert!(!waiter.is_finished());
    drop(held);
    drop(timeout(2_000 * MS, waiter).await.expect("at once").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_after_a_rush_is_called_back_at_once() {
    let server = Server::start();
    let venue = Venue::new(server.url());
    let (a, b) = (venue.cached(16).await, venue.cached(16).await);
    let mut waited = Vec::new();
    for _ in 0..6 {
        let rush = join_all((0..16).map(|_| a.acquire())).await;
        assert!(b.within(100 * MS).await.is_err());
        sleep(150 * MS).await; // nobody waits any more
        drop(rush);
        let start = Instant::now();
        let busy = tokio::spawn({
            let (limiter, db) = (a.limiter.clone(), a.db.clone());
            async move {
                loop {
                    drop(limiter.acquire([&db]).await);
                    sleep(2 * MS).await;
                }
            }
        });
        let request = b.limiter.request([b.db.units(14)]).acquire();
        drop(request.await.expect("in time"));
        waited.push(start.elapsed());
        busy.abort();
        until("all is back", || a.health().in_use == 0).await;
    }
    waited.sort();
    assert!(waited[5] < 150 * MS, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_does_not_grow_with_sessions_that_were() {
    let server = Server::start();
    let venue = Venue::new(server.url());
    let stay = venue.cached(64).await;
    let size = || {
        let state: Vec<String> = server.ask(&["HGETALL", "cq1:{test/db}:s"]).unwrap();
        state.iter().map(String::len).sum::<usize>()
    };
    let mut sizes = Vec::new();
    for _ in 0..8 {
        let passing = venue.cached(64).await;
        drop(passing.acquire().await);
        passing.backend.close().await;
        drop(stay.acquire().await);
        sizes.push(size());
    }
    assert!(sizes[7] < sizes[0] + 40, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_thought_dead_knows_it_when_it_is_back() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let a = Venue::new(server.url_at(proxy.port())).db(1).await;
    let b = Venue::new(server.url()).db(1).await;
    let held = a.acquire().await;
    // Its connection is closed, as that of a dead process would be, and new ones lead nowhere.
    proxy.set(|faults| (faults.holds_requests, faults.holds_replies) = (true, true));
    proxy.reset();
    let permit = b.within(4_000 * MS).await.expect("long before the lease");
    proxy.heal();
    timeout(2_000 * MS, held.lost())
        .await
        .expect("somebody else has it");
    assert!(!held.is_valid() && permit.is_valid());
    until("it is a debt", || b.health().in_use == 2).await;
    drop(held);
    until("it is paid", || b.health().in_use == 1).await;
    drop(permit);
    assert!(a.acquire().await.is_valid());
}
