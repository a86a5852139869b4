//! The node that keeps a limit changes under load: its slot moves, or it is killed and comes back.

use std::{sync::Arc, time::Duration};

use crate::processes::{Load, Process, Requests, Venue, at_rest, until};
use test_support::{Cluster, holders::now};
use tokio::{task::spawn_blocking, time::sleep};
use tower_concurrency_limiter::redis::{DEFAULT_COLD_START, WhenUnavailable};

const MS: Duration = Duration::from_millis(1);
const LIMIT: usize = 4;

/// Three processes, each of which was told of another node.
async fn processes(cluster: &Cluster) -> Vec<Process> {
    let mut processes = Vec::new();
    for url in cluster.urls() {
        let builder = Venue::new(url).builder().lease(3_000 * MS);
        let backend = builder
            .cold_start(DEFAULT_COLD_START)
            .connect_lazy()
            .unwrap();
        backend.ready().await.unwrap();
        let sharing = backend.strict().when_unavailable(WhenUnavailable::Wait);
        processes.push(Process::with(backend, sharing, |b| b.concurrency(LIMIT)).await);
    }
    processes
}

fn slot(cluster: &Cluster) -> u16 {
    cluster.slot_of("cq1:{test/db}:s")
}

async fn load(processes: &[Process]) -> Load {
    until("they are three", || {
        processes.iter().all(|p| p.health().processes == 3)
    })
    .await;
    let load: Vec<_> = processes.iter().map(|process| (process, 3)).collect();
    let load = Load::start(&load, Duration::from_secs(15), (5, 25));
    sleep(1_500 * MS).await;
    load
}

/// All is given back, and was never more than the limit.
async fn check(processes: &[Process], load: Load) -> Requests {
    let requests = load.stop().await;
    at_rest(processes).await;
    requests.holders.assert_at_most(LIMIT as u64);
    assert_eq!(requests.holders.unreturned().count(), 0);
    assert_eq!(requests.granted(), requests.all.len(), "nobody was refused");
    requests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_moves_to_another_node() {
    let cluster = Arc::new(Cluster::start(3));
    let processes = processes(&cluster).await;
    let load = load(&processes).await;
    let (begin, slot) = (now(), slot(&cluster));
    for n in 0..3 {
        let to = (cluster.owner_of(slot) + 1 + n % 2) % 3;
        let moved = Arc::clone(&cluster);
        spawn_blocking(move || moved.move_slot(slot, to))
            .await
            .unwrap();
        let before = load.so_far().len();
        until("it goes on there", || load.so_far().len() > before + 20).await;
    }
    let requests = check(&processes, load).await;
    let pause = requests.longest_pause(begin);
    println!(
        "{} permits; the longest pause was {pause:?}",
        requests.granted()
    );
    assert!(pause < 5_000 * MS, "{pause:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_of_a_limit_is_killed_and_comes_back() {
    let cluster = Arc::new(Cluster::start(3));
    let processes = processes(&cluster).await;
    let load = load(&processes).await;
    let owner = cluster.owner_of(slot(&cluster));
    cluster.nodes()[owner].kill();
    sleep(1_500 * MS).await;
    let restarted = Arc::clone(&cluster);
    spawn_blocking(move || restarted.nodes()[owner].restart())
        .await
        .unwrap();
    let (begin, before) = (now(), load.so_far().len());
    until("it goes on", || load.so_far().len() > before + 50).await;
    let requests = check(&processes, load).await;
    let pause = requests.longest_pause(begin);
    println!("{} permits; it went on after {pause:?}", requests.granted());
    assert!(pause < 6_000 * MS, "{pause:?}");
}
