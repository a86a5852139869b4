//! A network that loses wake-ups and answers, and resets connections: nobody is late for more than
//! a heartbeat, nothing is lost, and nothing is granted twice.
//!
//! `TORTURE_SECONDS=60` goes on for longer.

use std::{
    env,
    time::{Duration, Instant},
};

use crate::processes::holder::hold_valid;
use crate::processes::{Load, Process, Venue, until};
use test_support::{Cut, Proxy, Server, holders::now};
use tokio::time::sleep;
use tower_concurrency_limiter::redis::{DEFAULT_HEARTBEAT, WhenUnavailable};

const MS: Duration = Duration::from_millis(1);
const LIMIT: usize = 4;

fn time() -> Duration {
    let seconds = env::var("TORTURE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(8, |seconds| seconds.parse().expect("seconds")))
}

async fn process(url: String) -> Process {
    let backend = Venue::new(url).process().await;
    let sharing = backend.strict().when_unavailable(WhenUnavailable::Wait);
    Process::with(backend, sharing, |builder| builder.concurrency(LIMIT)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_later_than_a_heartbeat_and_nothing_is_lost() {
    let server = Server::start();
    let proxies = [
        Proxy::to(server.port()).await,
        Proxy::to(server.port()).await,
        Proxy::to(server.port()).await,
    ];
    let mut processes = vec![process(server.url()).await];
    for proxy in [&proxies[0], &proxies[0], &proxies[1], &proxies[2]] {
        processes.push(process(server.url_at(proxy.port())).await);
    }
    // Who says little hears of a lost wake-up late.
    let load: Vec<_> = processes.iter().zip([4, 4, 1, 2, 1]).collect();
    let load = Load::start(&load, Duration::from_secs(15), (5, 25));
    for proxy in &proxies {
        proxy.set(|faults| {
            faults.dropped_pushes = 0.05;
            faults.cut = Some(Cut {
                command: "EVAL",
                chance: 0.02,
                at_most: usize::MAX,
            });
        });
    }
    let (start, mut resets) = (Instant::now(), 0);
    while start.elapsed() < time() {
        sleep(400 * MS).await;
        proxies[resets % proxies.len()].reset();
        resets += 1;
    }
    let requests = load.stop().await;
    // At rest nothing is held, in the middle of whatever still goes wrong.
    until("all is back", || {
        processes[0].health().in_use == 0 && processes[0].health().waiting == 0
    })
    .await;
    let audit = processes[0].backend.audit("db").await.unwrap();
    assert_eq!(audit, []);

    let pushes: usize = proxies.iter().map(Proxy::dropped_pushes).sum();
    let cuts: usize = proxies.iter().map(Proxy::cut_replies).sum();
    let mut late = requests.lateness(LIMIT);
    late.sort_unstable();
    println!(
        "{} permits, {pushes} wake-ups and {cuts} answers lost, {resets} resets; late p50 {:?}, p99 {:?}, most {:?}",
        requests.granted(),
        late[late.len() / 2],
        late[late.len() * 99 / 100],
        late[late.len() - 1]
    );
    requests.holders.assert_at_most(LIMIT as u64);
    assert_eq!(requests.holders.unreturned().count(), 0);
    assert_eq!(requests.granted(), requests.all.len(), "nobody was refused");
    assert!(pushes > 5 && cuts > 5, "the network did its part");
    let beat = DEFAULT_HEARTBEAT + 200 * MS; // and the time of two busy cores
    assert!(
        late[late.len() - 1] <= beat,
        "{:?}",
        &late[late.len() - 9..]
    );
    assert_eq!(requests.overtaken(beat), []);
}

/// By how much somebody else had what a process still believed to hold, when its connection is
/// closed on the way and it cannot come back.
async fn surplus_after_a_reset(reclaims_early: bool) -> Duration {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let process = async |url: String| {
        let builder = Venue::new(url).builder().lease(3_000 * MS);
        let backend = builder.reclaim_at_disconnect(reclaims_early).connect_lazy();
        let sharing = backend.as_ref().expect("a good URL").strict();
        let sharing = sharing.when_unavailable(WhenUnavailable::Wait);
        let backend = backend.expect("a good URL");
        Process::with(backend, sharing, |builder| builder.concurrency(LIMIT)).await
    };
    let (holder, other) = (
        process(server.url_at(proxy.port())).await,
        process(server.url()).await,
    );
    let all = holder.limiter.acquire([holder.db.units(LIMIT)]);
    let permit = all.await.expect("all there is");
    let last_valid =
        tokio::spawn(async move { hold_valid(&permit, now(), Duration::from_secs(8)).await });
    let nobody_listens = 1;
    proxy.point_to(nobody_listens);
    drop(other.acquire().await);
    let granted = now();
    Duration::from_nanos(last_valid.await.unwrap().saturating_sub(granted))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_closed_on_the_way_is_not_the_end_unless_it_is_taken_for_it() {
    assert_eq!(surplus_after_a_reset(false).await, Duration::ZERO);
    // As documented: to the server it looks like a process that was killed.
    let surplus = surplus_after_a_reset(true).await;
    assert!(surplus > 500 * MS && surplus < 3_000 * MS, "{surplus:?}");
}
