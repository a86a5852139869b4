//! From the release in one process to the grant in another, which has waited for it.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use test_support::Server;
use tokio::time::sleep;

use crate::{
    clock::now,
    figures::{Figure, medians, percentile},
    one_thread,
    ping::Ping,
    venue::Venue,
};

const ROUNDS: usize = 5;
const TURNS: usize = 200;
/// Long enough that whoever waits is known to the server, and that nothing else happens.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) fn measure(_: &Server, venue: &Venue) -> Vec<Figure> {
    let [p50, p99, ping50, ping99] = medians(ROUNDS, || {
        let released = Mutex::new(None);
        let take_turns = || one_thread().block_on(take_turns(venue, &released));
        let sides = thread::scope(|scope| {
            let sides = [scope.spawn(take_turns), scope.spawn(take_turns)];
            sides.map(|side| side.join().expect("no side panics"))
        });
        let [one, other] = sides;
        let hand_offs = [one.0, other.0].concat();
        let pings = [one.1, other.1].concat();
        assert!(hand_offs.len() >= TURNS, "they take turns");
        [
            percentile(hand_offs.clone(), 50),
            percentile(hand_offs, 99),
            percentile(pings.clone(), 50),
            percentile(pings, 99),
        ]
    });
    vec![
        Figure::new("release in one process to grant in another, p50 µs", p50).at_most(1_000.0),
        Figure::new("the same, p99 µs", p99).at_most(5_000.0),
        Figure::new("a PING at the same time, p50 µs", ping50),
        Figure::new("the same, p99 µs", ping99),
        Figure::new("hand-off beside PING, p50", p50 / ping50),
    ]
}

/// Times of hand-offs to this side and of round trips, in microseconds.
async fn take_turns(venue: &Venue, released: &Mutex<Option<Instant>>) -> (Vec<f64>, Vec<f64>) {
    let process = venue.db(1).await;
    let mut ping = Ping::to(venue.url()).await;
    let released = || released.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut hand_offs, mut pings) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let asked = now();
        let permit = process.acquire().await;
        let granted = now();
        // Not if the other was done before this side asked.
        if let Some(released) = released().take().filter(|&released| released > asked) {
            hand_offs.push(granted.duration_since(released).as_secs_f64() * 1e6);
        }
        sleep(PAUSE).await;
        pings.push(ping.micros().await);
        sleep(PAUSE).await;
        *released() = Some(now());
        drop(permit);
        sleep(PAUSE / 2).await; // so that the other's grant is all that happens
    }
    process.backend.close().await;
    (hand_offs, pings)
}
