//! What goes wrong with a shared limit at an awkward moment.

#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests against real servers, in real time"
)]

mod processes;
mod shared;

use std::time::Duration;

use processes::{Process, Venue};
use shared::{Cluster, Server};
use tokio::time::{sleep, timeout};
use tower_concurrency_limiter::{
    Permit, Reason,
    redis::{Mode, RedisBackendBuilder, WhenUnavailable},
};

const MS: Duration = Duration::from_millis(1);

async fn with(builder: RedisBackendBuilder, limit: usize, policy: WhenUnavailable) -> Process {
    let backend = builder
        .heartbeat(100 * MS)
        .lease(1_000 * MS)
        .down_after(200 * MS);
    let backend = backend.connect().expect("a good URL");
    backend.ready().await.expect("a server");
    let sharing = backend.strict().when_unavailable(policy);
    Process::with(backend, sharing, |builder| builder.concurrency(limit)).await
}

async fn within(process: &Process, time: Duration) -> Result<Permit, Reason> {
    let request = process.limiter.request([&process.db]).timeout(time);
    request
        .acquire()
        .await
        .map_err(|rejection| rejection.reason())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_with_errors_is_unavailable() {
    let server = Server::start();
    let process = with(
        Venue::new(server.url()).builder(),
        1,
        WhenUnavailable::Closed,
    )
    .await;
    server.command(&["DEL", "cq1:{test/db}:s"]);
    server.command(&["SET", "cq1:{test/db}:s", "something else"]);
    assert_eq!(
        within(&process, 3_000 * MS).await.unwrap_err(),
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
    let permit = within(&process, 8_000 * MS).await;
    drop(permit.expect("it follows"));
    assert_eq!(process.health().mode, Mode::Connected);
}
