//! What goes wrong, and what then: a test for each row of the table in the documentation of
//! `redis`.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::processes::{OtherProcess, Process, Venue, until};
use test_support::{Cut, Options, Proxy, Server};
use tokio::time::{sleep, timeout};
use tower_concurrency_limiter::{
    Permit, Reason,
    redis::{SharedState, WhenUnavailable},
};

const MS: Duration = Duration::from_millis(1);

/// The other processes of these tests.
#[test]
fn another_process() {
    crate::processes::child::obey();
}

fn other_process(venue: &Venue, lease: Duration) -> OtherProcess {
    OtherProcess::start("failures::another_process", venue, lease)
}

/// A process with short times and a limit of `db`.
async fn quick(venue: &Venue, limit: usize) -> Process {
    Process::quick(venue.builder(), limit, WhenUnavailable::default()).await
}

fn venue(server: &Server) -> Venue {
    Venue::new(server.url())
}

fn behind(server: &Server, proxy: &Proxy) -> Venue {
    Venue::new(server.url_at(proxy.port()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_killed() {
    let server = Server::start();
    let venue = venue(&server);
    let mut other = other_process(&venue, Duration::from_secs(5));
    let process = venue.db(1).await;
    assert_eq!(other.tell("acquire"), "held");
    let waiter = process.queue(process.limiter.request([&process.db])).await;
    let start = Instant::now();
    other.kill();
    let permit = timeout(Duration::from_secs(4), waiter)
        .await
        .expect("before the lease ends");
    drop(permit.unwrap());
    assert!(start.elapsed() < 2_000 * MS, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_paused_for_less_than_its_lease() {
    let server = Server::start();
    let venue = venue(&server);
    let lease = Duration::from_secs(4);
    let mut other = other_process(&venue, lease);
    let backend = venue.builder().lease(lease).connect_lazy().unwrap();
    let sharing = backend.strict();
    let process = Process::with(backend, sharing, |builder| builder.concurrency(1)).await;
    assert_eq!(other.tell("acquire"), "held");
    other.pause();
    assert_eq!(
        process.within(2_500 * MS).await.unwrap_err(),
        Reason::Timeout
    );
    other.resume();
    assert_eq!(other.tell("is it valid"), "valid");
    assert_eq!(process.within(200 * MS).await.unwrap_err(), Reason::Timeout);
    assert_eq!(other.tell("return"), "returned");
    drop(process.acquire().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_paused_for_longer_than_its_lease() {
    let server = Server::start();
    let venue = venue(&server);
    let mut other = other_process(&venue, Duration::from_secs(3));
    let backend = venue
        .builder()
        .lease(Duration::from_secs(3))
        .connect_lazy()
        .unwrap();
    let sharing = backend.strict();
    let process = Process::with(backend, sharing, |builder| builder.concurrency(1)).await;
    assert_eq!(other.tell("acquire"), "held");
    other.pause();
    let permit = process
        .within(6_000 * MS)
        .await
        .expect("when the lease is over");
    other.resume();
    // It knows that it has lost it, and says that it is still at work.
    assert_eq!(other.tell("is it valid"), "lost");
    assert_eq!(other.tell("is it lost"), "lost");
    until("the debt is known", || process.health().in_use == 2).await;
    // One of two is not enough: the debt is to be paid first.
    drop(permit);
    assert_eq!(process.within(300 * MS).await.unwrap_err(), Reason::Timeout);
    assert_eq!(other.tell("return"), "returned");
    drop(process.acquire().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_of_the_service_is_busy() {
    let server = Server::start();
    let venue = venue(&server);
    let process = quick(&venue, 1).await;
    let url = venue.url().to_owned();
    let busy = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let process = quick(&Venue::new(url), 1).await;
            let permit = process.acquire().await;
            std::thread::sleep(2_500 * MS); // longer than two leases
            assert!(permit.is_valid());
        });
    });
    until("it is held", || process.health().in_use == 1).await;
    assert_eq!(
        process.within(2_000 * MS).await.unwrap_err(),
        Reason::Timeout
    );
    busy.join().unwrap();
    drop(process.acquire().await);
}

/// The server is gone for a moment, while one holds and one waits; `how` brings it back.
async fn outlives(venue: &Venue, how: impl FnOnce()) {
    let (a, b) = (quick(venue, 1).await, quick(venue, 1).await);
    let held = a.acquire().await;
    let epoch = a.health().epoch;
    let waiter = with_patience(&b);
    until("it waits", || b.db.waiting() == 1).await;
    sleep(50 * MS).await;
    how();
    let is_back =
        |p: &&Process| p.health().epoch > epoch && p.health().state == SharedState::Connected;
    until("both have said what they hold", || {
        [&a, &b].iter().all(is_back)
    })
    .await;
    sleep(300 * MS).await;
    assert!(held.is_valid() && !waiter.is_finished(), "it is held");
    assert_eq!(b.health().in_use, 1);
    drop(held);
    drop(
        timeout(Duration::from_secs(3), waiter)
            .await
            .expect("it kept its place")
            .unwrap(),
    );
    until("all is back", || a.health().in_use == 0).await;
}

/// Waits through outages: queues again whenever it is turned away for one.
fn with_patience(process: &Process) -> tokio::task::JoinHandle<Permit> {
    let (limiter, db) = (process.limiter.clone(), process.db.clone());
    tokio::spawn(async move {
        loop {
            match limiter.acquire([&db]).await {
                Ok(permit) => return permit,
                Err(rejection) => assert_eq!(rejection.reason(), Reason::Unavailable),
            }
            sleep(20 * MS).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_restarts_with_its_data() {
    let server = Server::with(Options {
        appendonly: true,
        ..Options::default()
    });
    let venue = venue(&server);
    outlives(&venue, || server.restart()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_restarts_without_data() {
    let server = Server::start();
    let venue = venue(&server);
    let a = Process::quick(
        venue.builder().cold_start(1_000 * MS),
        1,
        WhenUnavailable::Wait,
    )
    .await;
    let b = Process::quick(
        venue.builder().cold_start(1_000 * MS),
        1,
        WhenUnavailable::Wait,
    )
    .await;
    let held = a.acquire().await;
    let epoch = a.health().epoch;
    let waiter = with_patience(&b);
    until("it waits", || b.db.waiting() == 1).await;
    server.restart();
    until("both are back", || {
        a.health().processes == 2 && a.health().epoch > epoch
    })
    .await;
    sleep(1_300 * MS).await;
    assert!(held.is_valid() && !waiter.is_finished(), "it is held");
    drop(held);
    drop(
        timeout(Duration::from_secs(3), waiter)
            .await
            .expect("it kept its place")
            .unwrap(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_takes_over() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let replica = Server::replica_of(&server);
    let venue = behind(&server, &proxy);
    let (a, b) = (quick(&venue, 1).await, quick(&venue, 1).await);
    let held = a.acquire().await;
    let epoch = a.health().epoch;
    let waiter = with_patience(&b);
    until("it waits", || b.db.waiting() == 1).await;
    sleep(100 * MS).await;
    // It says that it is up before anything comes.
    until("the replica has it all", || {
        server.info("master_repl_offset") == replica.info("slave_repl_offset")
    })
    .await;
    server.kill();
    replica.promote();
    proxy.point_to(replica.port());
    until("both are back", || {
        a.health().epoch > epoch && a.health().processes == 2
    })
    .await;
    sleep(500 * MS).await;
    assert!(held.is_valid() && !waiter.is_finished(), "it is held");
    drop(held);
    drop(
        timeout(Duration::from_secs(3), waiter)
            .await
            .expect("it kept its place")
            .unwrap(),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_is_cut_off() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let cut_off = Process::quick(
        behind(&server, &proxy).builder(),
        1,
        WhenUnavailable::FailClosed,
    )
    .await;
    let other = quick(&venue(&server), 1).await;
    let held = cut_off.acquire().await;
    let lost = tokio::spawn(async move {
        let lost = held.lost();
        lost.await;
        (Instant::now(), held)
    });
    let next = tokio::spawn({
        let (limiter, db) = (other.limiter.clone(), other.db.clone());
        async move { (limiter.acquire([&db]).await.unwrap(), Instant::now()) }
    });
    sleep(50 * MS).await;
    proxy.set(|faults| (faults.holds_requests, faults.holds_replies) = (true, true));
    let (permit, granted_at) = timeout(Duration::from_secs(5), next)
        .await
        .expect("the lease")
        .unwrap();
    let (lost_at, held) = timeout(Duration::from_secs(1), lost)
        .await
        .expect("it knows")
        .unwrap();
    assert!(lost_at < granted_at, "its own clock ends the lease first");
    assert!(!held.is_valid());
    assert_eq!(
        cut_off.within(100 * MS).await.unwrap_err(),
        Reason::Unavailable
    );
    assert_eq!(cut_off.health().state, SharedState::Unavailable);
    // It comes back without a restart, and says what it holds.
    proxy.heal();
    until("it is back", || {
        cut_off.health().state == SharedState::Connected && cut_off.health().in_use == 2
    })
    .await;
    drop((permit, held));
    drop(cut_off.acquire().await);
}

/// What becomes of requests while the server is gone, by the policy: let in and turned away of 40
/// from each of two processes with a limit of 4, and the most at once in one of them.
async fn without_server(policy: WhenUnavailable) -> (usize, HashSet<Reason>, usize) {
    let server = Server::start();
    let venue = venue(&server);
    let processes = [
        Process::quick(venue.builder(), 4, policy).await,
        Process::quick(venue.builder(), 4, policy).await,
    ];
    until("they know each other", || {
        processes.iter().all(|p| p.health().processes == 2)
    })
    .await;
    server.kill();
    until("they know", || {
        processes
            .iter()
            .all(|p| p.health().state == SharedState::Unavailable)
    })
    .await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for n in 0..80 {
        let process = &processes[n % 2];
        let (limiter, db) = (process.limiter.clone(), process.db.clone());
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        tasks.push(tokio::spawn(async move {
            let request = limiter.request([&db]).timeout(500 * MS);
            let permit = request
                .acquire()
                .await
                .map_err(|rejection| rejection.reason())?;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(20 * MS).await;
            now.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
            Ok(())
        }));
    }
    let (mut let_in, mut reasons) = (0, HashSet::new());
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => let_in += 1,
            Err(reason) => drop(reasons.insert(reason)),
        }
    }
    // It all works again when the server is back.
    server.restart();
    until("they are back", || {
        processes
            .iter()
            .all(|p| p.health().state == SharedState::Connected)
    })
    .await;
    for process in &processes {
        drop(
            timeout(Duration::from_secs(5), process.acquire())
                .await
                .expect("enforced again"),
        );
    }
    (let_in, reasons, most.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_cut_off_and_closed() {
    let (let_in, reasons, _) = without_server(WhenUnavailable::FailClosed).await;
    assert_eq!((let_in, reasons), (0, HashSet::from([Reason::Unavailable])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_cut_off_and_open() {
    let (let_in, reasons, most) = without_server(WhenUnavailable::FailOpen).await;
    assert_eq!((let_in, reasons), (80, HashSet::new()));
    assert!(most > 8, "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_cut_off_and_wait() {
    let (let_in, reasons, _) = without_server(WhenUnavailable::Wait).await;
    assert_eq!((let_in, reasons), (0, HashSet::from([Reason::Unavailable])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_cut_off_and_share_locally() {
    let (let_in, reasons, most) = without_server(WhenUnavailable::LocalShare).await;
    // Two of four for each of the two: 20 rounds of 20 ms.
    assert_eq!(most, 4);
    assert!(let_in >= 40, "{let_in}");
    assert!(
        reasons.is_subset(&HashSet::from([Reason::Timeout])),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_held_counts_against_the_local_share() {
    let server = Server::start();
    let process = quick(&venue(&server), 2).await;
    let held = process.acquire().await;
    server.kill();
    until("it knows", || {
        process.health().state == SharedState::Unavailable
    })
    .await;
    let second = process.within(Duration::ZERO).await.expect("one more");
    assert_eq!(
        process.within(Duration::ZERO).await.unwrap_err(),
        Reason::NotNow
    );
    drop(held);
    let third = process.within(Duration::ZERO).await.expect("room again");
    server.restart();
    until("it is back", || {
        process.health().state == SharedState::Connected
    })
    .await;
    assert_eq!(
        process.health().in_use,
        2,
        "what was let in meanwhile is reported"
    );
    assert_eq!(
        process.within(Duration::ZERO).await.unwrap_err(),
        Reason::NotNow
    );
    drop((second, third));
    drop(process.acquire().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_is_lost() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let (a, b) = (
        quick(&venue(&server), 1).await,
        quick(&behind(&server, &proxy), 1).await,
    );
    proxy.set(|faults| faults.dropped_pushes = 1.0);
    for _ in 0..5 {
        let held = a.acquire().await;
        let waiter = b.queue(b.limiter.request([&b.db])).await;
        let start = Instant::now();
        drop(held);
        drop(
            timeout(Duration::from_secs(2), waiter)
                .await
                .expect("in time")
                .unwrap(),
        );
        assert!(
            start.elapsed() < 400 * MS,
            "a heartbeat is 100 ms: {:?}",
            start.elapsed()
        );
    }
    assert!(proxy.dropped_pushes() >= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_lost() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let process = quick(&behind(&server, &proxy), 3).await;
    for n in 0..10 {
        proxy.set(|faults| faults.cut = Some(Cut::next("EVAL")));
        let permit = timeout(Duration::from_secs(3), process.acquire())
            .await
            .expect("asked again");
        until("it counts once", || process.health().in_use == 1).await;
        proxy.set(|faults| faults.cut = Some(Cut::next("EVAL")));
        drop(permit);
        until("and goes back once", || process.health().in_use == 0).await;
        assert!(proxy.cut_replies() > n, "the proxy did its part");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_late() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let process = quick(&behind(&server, &proxy), 3).await;
    for _ in 0..3 {
        proxy.set(|faults| faults.holds_replies = true);
        let waiter = tokio::spawn({
            let (limiter, db) = (process.limiter.clone(), process.db.clone());
            async move { limiter.acquire([&db]).await.unwrap() }
        });
        sleep(300 * MS).await; // longer than the server may be silent
        proxy.heal();
        let permit = timeout(Duration::from_secs(3), waiter)
            .await
            .expect("in time")
            .unwrap();
        until("it counts once", || {
            process.health().state == SharedState::Connected && process.health().in_use == 1
        })
        .await;
        drop(permit);
        until("it is back", || process.health().in_use == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_is_lost() {
    let server = Server::start();
    let venue = venue(&server);
    let (a, b) = (quick(&venue, 1).await, quick(&venue, 1).await);
    let held = a.acquire().await;
    let first = b.queue(b.limiter.request([&b.db])).await;
    let second = a.queue(a.limiter.request([&a.db])).await;
    for kind in ["normal", "pubsub", "normal"] {
        let _ = server.ask::<u64>(&["CLIENT", "KILL", "TYPE", kind]);
        sleep(150 * MS).await;
    }
    assert!(held.is_valid());
    assert_eq!(a.health().epoch, b.health().epoch);
    drop(held);
    let permit = timeout(Duration::from_secs(2), first)
        .await
        .expect("it kept its place")
        .unwrap();
    assert!(!second.is_finished());
    drop(permit);
    drop(
        timeout(Duration::from_secs(2), second)
            .await
            .expect("in time")
            .unwrap(),
    );
}

/// Requests go on while something is done to the server every 10 ms; never are two let in at once.
async fn under(trouble: impl Fn(&Server) + Send + 'static) {
    let server = Arc::new(Server::start());
    let venue = venue(&server);
    let processes = [quick(&venue, 1).await, quick(&venue, 1).await];
    let in_use = Arc::new(AtomicUsize::new(0));
    let troubled = Arc::clone(&server);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let troubles = std::thread::spawn(move || {
        while stopped.recv_timeout(10 * MS).is_err() {
            trouble(&troubled);
        }
    });
    let mut tasks = Vec::new();
    for process in &processes {
        let (limiter, db, in_use) = (
            process.limiter.clone(),
            process.db.clone(),
            Arc::clone(&in_use),
        );
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                let permit = limiter.acquire([&db]).await.expect("in time");
                assert_eq!(in_use.fetch_add(1, Ordering::SeqCst), 0, "one at once");
                sleep(2 * MS).await;
                in_use.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    stop.send(()).unwrap();
    troubles.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scripts_are_flushed() {
    under(|server| drop(server.command(&["SCRIPT", "FLUSH"]))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_flushed() {
    let server = Server::start();
    let venue = venue(&server);
    let builder = || venue.builder().cold_start(500 * MS);
    let (a, b) = (
        Process::quick(builder(), 1, WhenUnavailable::Wait).await,
        Process::quick(builder(), 1, WhenUnavailable::Wait).await,
    );
    let held = a.acquire().await;
    let waiter = b.queue(b.limiter.request([&b.db])).await;
    let epoch = a.health().epoch;
    server.command(&["FLUSHALL"]);
    until("both are back", || {
        [&a, &b]
            .iter()
            .all(|p| p.health().epoch > epoch && p.health().processes == 2)
    })
    .await;
    sleep(800 * MS).await;
    assert!(held.is_valid() && !waiter.is_finished(), "it is held");
    let token = held.fencing_token(&a.db);
    drop(held);
    let next = timeout(Duration::from_secs(2), waiter)
        .await
        .expect("it kept its place")
        .unwrap();
    assert!(next.fencing_token(&b.db) > token, "the epoch has grown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_out_of_memory() {
    let server = Server::start();
    let process = quick(&venue(&server), 1).await;
    let held = process.acquire().await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(
        process.within(2_000 * MS).await.unwrap_err(),
        Reason::Unavailable
    );
    drop(held);
    until("giving back works", || process.health().in_use == 0).await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    drop(
        timeout(Duration::from_secs(2), process.acquire())
            .await
            .expect("all is well"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_stands_still() {
    let server = Server::start();
    let venue = venue(&server);
    let a = Process::quick(venue.builder(), 1, WhenUnavailable::Wait).await;
    let b = Process::quick(venue.builder(), 1, WhenUnavailable::Wait).await;
    let held = a.acquire().await;
    let waiter = b.queue(b.limiter.request([&b.db])).await;
    let epoch = a.health().epoch;
    server.pause();
    sleep(1_500 * MS).await; // longer than the lease
    assert!(!held.is_valid(), "nobody can know");
    server.resume();
    until("both are back", || {
        [&a, &b]
            .iter()
            .all(|p| p.health().epoch > epoch && p.health().state == SharedState::Connected)
    })
    .await;
    sleep(300 * MS).await;
    assert!(
        !waiter.is_finished(),
        "what it holds was not given to another"
    );
    drop(held);
    drop(
        timeout(Duration::from_secs(2), waiter)
            .await
            .expect("in time")
            .unwrap(),
    );
}
