//! The checker that other tests rely on: that it sees what it must not overlook.

#![cfg(unix)]

use std::{path::Path, sync::Arc, time::Duration};

use test_support::holders::{Holders, Log, Tally, Until, now};
use tokio::{sync::Semaphore, task::JoinSet};

fn peak(log: &str, until: Until) -> u64 {
    Holders::parse(log).expect("a log").peak(until).units
}

#[test]
fn what_overlaps_adds_up() {
    let log = "granted 1 0 2 10\ngranted 2 0 3 20\nreturned 1 0 30\ngranted 2 1 1 31\nreturned 2 0 40\nreturned 2 1 41\n";
    let holders = Holders::parse(log).unwrap();
    let peak = holders.peak(Until::Lost);
    assert_eq!((peak.units, peak.at), (5, 20));
    assert_eq!(peak.by, [(1, 2), (2, 3)].into());
    holders.assert_at_most(5);
    assert_eq!(holders.unreturned().count(), 0);
}

#[test]
#[should_panic(expected = "5 units were held at once where 4 are the limit, at 20 ns")]
fn one_too_many_for_an_instant_is_found() {
    let log = "granted 1 0 2 10\ngranted 2 0 3 20\nreturned 1 0 21\nreturned 2 0 40\n";
    Holders::parse(log).unwrap().assert_at_most(4);
}

#[test]
fn the_order_of_the_lines_does_not_count() {
    let log = "returned 1 0 30\ngranted 2 0 1 20\ngranted 1 0 1 10\n";
    assert_eq!(peak(log, Until::Lost), 2);
}

#[test]
fn what_is_returned_and_granted_at_the_same_instant_does_not_overlap() {
    let log = "granted 2 0 1 10\ngranted 1 0 1 20\nreturned 2 0 20\n";
    assert_eq!(peak(log, Until::Lost), 1);
}

#[test]
fn what_is_never_returned_is_held_to_the_end() {
    let log = "granted 1 0 1 10\ngranted 2 0 1 2000000000\nreturned 2 0 2000000001\n";
    assert_eq!(peak(log, Until::Lost), 2);
    assert_eq!(Holders::parse(log).unwrap().unreturned().count(), 1);
}

#[test]
fn a_kill_ends_what_the_process_held() {
    let log = "granted 1 0 1 10\nkilled 1 15\ngranted 2 0 1 20\n";
    assert_eq!(peak(log, Until::Lost), 1);
    let too_early = "granted 1 0 1 10\ngranted 2 0 1 14\nkilled 1 15\n";
    assert_eq!(peak(too_early, Until::Lost), 2);
    let returned = "granted 1 0 1 10\nreturned 1 0 12\ngranted 2 0 1 13\nkilled 1 15\n";
    assert_eq!(peak(returned, Until::Lost), 1);
}

#[test]
fn a_lost_permit_counts_while_it_was_valid_and_works_until_it_is_returned() {
    let log = "granted 1 0 1 10\nlost 1 0 15\ngranted 2 0 1 20\nreturned 1 0 30\n";
    assert_eq!(peak(log, Until::Lost), 1);
    assert_eq!(peak(log, Until::Returned), 2);
    let too_early = "granted 1 0 1 10\nlost 1 0 15\ngranted 2 0 1 14\nreturned 1 0 30\n";
    assert_eq!(peak(too_early, Until::Lost), 2);
}

#[test]
fn a_pause_ends_what_was_held_when_it_began_and_no_later_grant() {
    let log = "granted 1 0 1 10\npaused 1 50 20\ngranted 2 0 1 60\nreturned 1 0 70\n";
    assert_eq!(peak(log, Until::Lost), 1);
    assert_eq!(peak(log, Until::Returned), 2);
    let too_early = "granted 1 0 1 10\npaused 1 50 20\ngranted 2 0 1 49\n";
    assert_eq!(peak(too_early, Until::Lost), 2);
    for noticed in ["lost 1 0 15\n", "lost 1 0 70\n"] {
        assert_eq!(peak(&format!("{log}{noticed}"), Until::Lost), 1);
        let between = format!("{log}{noticed}granted 3 0 1 16\nreturned 3 0 17\n");
        let expected = if noticed.ends_with("15\n") { 1 } else { 2 };
        assert_eq!(peak(&between, Until::Lost), expected, "{noticed}");
    }
    // It went on with what it had been given in its sleep.
    let stale = "paused 1 50 20\ngranted 2 0 1 60\ngranted 1 0 1 70\n";
    assert_eq!(peak(stale, Until::Lost), 2);
}

#[test]
fn traces_that_cannot_be_are_errors() {
    for (log, why) in [
        ("returned 1 0 10\n", "it had not been granted"),
        ("granted 1 0 1 20\nlost 1 0 19\n", "it had not been granted"),
        ("refused 1 0 10\n", "nobody asked for it"),
        ("granted 1 0 1 10\ngranted 1 0 1 11\n", "granted before"),
        ("asked 1 0 10\nasked 1 0 11\n", "asked for before"),
        (
            "granted 1 0 1 10\nreturned 1 0 11\nreturned 1 0 12\n",
            "returned before",
        ),
        ("killed 1 10\ngranted 1 0 1 11\n", "had been killed"),
        ("granted 1 0 1\n", "too short"),
        ("granted 1 0 1 10 11\n", "too long"),
        ("granted 1 0 one 10\n", "no number"),
        ("grated 1 0 1 10\n", "no event"),
    ] {
        let error = format!("{:#}", Holders::parse(log).expect_err(log));
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn the_capacity_of_a_killed_process_is_back_when_others_use_it() {
    // Limit 4: one process held 2 of them.
    let log = "\
granted 1 1 2 1
returned 1 1 9
granted 1 0 2 10
granted 2 0 1 11
granted 2 1 1 12
killed 1 100
returned 2 0 110
granted 2 2 1 120
granted 2 3 1 300
granted 3 0 1 500
";
    let recoveries = Holders::parse(log).unwrap().recoveries(4);
    let [recovery] = recoveries.as_slice() else {
        panic!("one process was killed: {recoveries:?}");
    };
    assert_eq!((recovery.process, recovery.units), (1, 2));
    // The grant at 120 used what had been returned.
    assert_eq!(recovery.first, Some(Duration::from_nanos(200)));
    assert_eq!(recovery.all, Some(Duration::from_nanos(400)));
}

#[test]
fn capacity_that_never_came_back_is_said() {
    let log =
        "granted 1 0 2 10\nkilled 1 100\ngranted 2 0 2 110\nreturned 2 0 120\ngranted 2 1 2 130\n";
    let recovery = Holders::parse(log).unwrap().recoveries(4)[0];
    assert_eq!((recovery.first, recovery.all), (None, None));
}

#[test]
fn waits_and_counts_are_those_of_the_log() {
    let log = "\
asked 1 0 10
asked 1 1 11
asked 2 0 12
granted 2 0 1 15
granted 1 0 1 20
refused 1 1 30
returned 1 0 40
asked 1 2 50
lost 2 0 60
";
    let holders = Holders::parse(log).unwrap();
    assert_eq!(holders.waits(), [3, 10].map(Duration::from_nanos));
    let one = Tally {
        asked: 3,
        granted: 1,
        returned: 1,
        lost: 0,
        refused: 1,
    };
    let two = Tally {
        asked: 1,
        granted: 1,
        returned: 0,
        lost: 1,
        refused: 0,
    };
    assert_eq!(*holders.tallies(), [(1, one), (2, two)].into());
    assert_eq!(holders.unanswered(), 1);
}

/// Many "processes" that take from a semaphore, or from nothing, and log it.
async fn trace(path: &Path, permits: usize) -> Holders {
    let semaphore = Arc::new(Semaphore::new(permits));
    let mut tasks = JoinSet::new();
    for process in 0..8 {
        let log = Arc::new(Log::open(path, process).expect("a log"));
        for _ in 0..10 {
            let (log, semaphore) = (Arc::clone(&log), Arc::clone(&semaphore));
            tasks.spawn(async move {
                for _ in 0..20 {
                    let number = log.asked();
                    let permit = semaphore.acquire().await.expect("it is open");
                    log.granted(number, 1);
                    tokio::task::yield_now().await;
                    log.returned(number);
                    drop(permit);
                }
            });
        }
    }
    tasks.join_all().await;
    Holders::read(path).expect("a log")
}

#[tokio::test(flavor = "multi_thread")]
async fn real_holders_of_a_semaphore_are_as_many_as_it_has_permits() {
    let folder = tempfile::tempdir().unwrap();
    let start = now();
    let holders = trace(&folder.path().join("log"), 5).await;
    holders.assert_at_most(5);
    let peak = holders.peak(Until::Returned);
    assert_eq!(peak.units, 5);
    assert!((start..now()).contains(&peak.at));
    assert_eq!(holders.waits().len(), 8 * 10 * 20);
    assert_eq!((holders.unreturned().count(), holders.unanswered()), (0, 0));
    assert!(holders.tallies().values().all(|tally| tally.granted == 200));
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "units were held at once where 5 are the limit")]
async fn a_semaphore_with_one_permit_too_many_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let holders = trace(&folder.path().join("log"), 6).await;
    holders.assert_at_most(5);
}
