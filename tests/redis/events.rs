//! What is said in the logs about a shared limit.

use test_support::{
    Server,
    events::{Fields, Heard, fields, listen_everywhere},
};
use tower_concurrency_limiter::redis::{SharedState, WhenUnavailable};
use tracing::{Level, level_filters::LevelFilter};

use crate::processes::{Process, Venue, run_alone, until};

async fn is_said(heard: &Heard, level: Level, message: &str) -> Fields {
    let find = || {
        let events = heard.events().into_iter().rev();
        let mut found = events.filter(|(at, text, _)| (*at, &**text) == (level, message));
        found.next().map(|(_, _, fields)| fields)
    };
    until(message, || find().is_some()).await;
    find().expect("just seen")
}

/// The backend logs on a thread of its own, and what all threads log has one listener in a process.
#[test]
fn what_is_logged_of_an_outage() {
    run_alone("events::an_outage_and_what_follows_from_it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run as a process of its own"]
async fn an_outage_and_what_follows_from_it() {
    let heard = listen_everywhere(LevelFilter::INFO);
    let server = Server::start();
    let venue = Venue::new(server.url());
    let process = Process::quick(venue.builder(), 1, WhenUnavailable::FailClosed).await;
    let said = is_said(&heard, Level::INFO, "a shared limit is enforced").await;
    assert_eq!(
        said,
        fields([("resource", "db"), ("processes", "1"), ("epoch", "1")])
    );

    let held = process.acquire().await;
    server.kill();
    let said = is_said(&heard, Level::WARN, "a shared limit is unavailable").await;
    assert_eq!(
        said,
        fields([("resource", "db"), ("policy", "fail_closed")])
    );
    let said = is_said(&heard, Level::WARN, "a lease was lost").await;
    assert_eq!(said, fields([("resource", "db"), ("units", "1")]));
    assert!(!held.is_valid());

    server.restart();
    let said = is_said(&heard, Level::WARN, "the state of a shared limit was lost").await;
    assert_eq!(said, fields([("resource", "db"), ("epoch", "2")]));
    until("it is back", || {
        process.health().state == SharedState::Connected
    })
    .await;
    let enforced = heard.events().into_iter();
    let enforced = enforced.filter(|(_, text, _)| text == "a shared limit is enforced");
    assert_eq!(enforced.count(), 2, "again");

    let other = Process::quick(venue.builder(), 5, WhenUnavailable::FailClosed).await;
    let message = "processes disagree about a shared limit: raise the revision with every change";
    let said = is_said(&heard, Level::WARN, message).await;
    let expected = [
        ("resource", "db"),
        ("own_revision", "0"),
        ("revision", "0"),
        ("limit", "1"),
    ];
    assert_eq!(said, fields(expected));

    server.command(&["DEL", "cq1:{test/db}:s"]);
    server.command(&["SET", "cq1:{test/db}:s", "something else"]);
    let said = is_said(&heard, Level::WARN, "a shared limit cannot be served").await;
    assert!(said["error"].contains("WRONGTYPE"), "{said:?}");
    drop((held, other));
}
