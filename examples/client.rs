//! Run with: cargo run --example client
//!
//! A client: a thousand calls to a paid API, at most ten of them in flight.
//!
//! The API is a local server, started by the example. It counts the calls in flight, and answers
//! once ten of them are: with a limit that let fewer through, the run would never end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use futures_util::future::try_join_all;
use tokio::{net::TcpListener, sync::Barrier};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_concurrency_limiter::{Limiter, Resource};

const IN_FLIGHT: usize = 10;

/// Fetches the text behind a URL, with at most [`IN_FLIGHT`] calls at once for all clones together.
///
/// The layer stands around the whole call, so a permit is held until the body has been read.
/// Directly around the `reqwest::Client`, it would be returned with the response head; a rejection
/// is then told from reqwest's own errors with `.for_any_service().wrap_errors()`.
fn client() -> impl Service<String, Response = String, Error = BoxError> + Clone {
    let api = Resource::builder("api")
        .concurrency(IN_FLIGHT)
        .max_waiting(2_000)
        .build();
    let limiter = Limiter::new(Duration::from_secs(30), [&api]);
    let http = reqwest::Client::new();
    ServiceBuilder::new()
        .layer(limiter.resources([&api]).for_any_service())
        .service_fn(move |url| fetch(http.clone(), url))
}

async fn fetch(http: reqwest::Client, url: String) -> Result<String, BoxError> {
    let response = http.get(url).send().await?.error_for_status()?;
    Ok(response.text().await?)
}

/// What the API has seen of its clients.
struct Seen {
    in_flight: AtomicUsize,
    most: AtomicUsize,
    ten: Barrier,
}

fn api() -> (Router, Arc<Seen>) {
    let seen = Arc::new(Seen {
        in_flight: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        ten: Barrier::new(IN_FLIGHT),
    });
    let router = Router::new()
        .route("/price/{item}", get(price))
        .with_state(Arc::clone(&seen));
    (router, seen)
}

async fn price(State(seen): State<Arc<Seen>>, Path(item): Path<usize>) -> String {
    let in_flight = seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most.fetch_max(in_flight, Ordering::SeqCst);
    seen.ten.wait().await;
    seen.in_flight.fetch_sub(1, Ordering::SeqCst);
    format!("{}", 2 * item)
}

/// Fetches so many prices and returns them with the most calls that the API has seen at once.
async fn run(calls: usize) -> Result<(Vec<String>, usize), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (router, seen) = api();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let client = client();
    let prices = try_join_all((0..calls).map(|item| {
        let url = format!("http://{address}/price/{item}");
        client.clone().oneshot(url)
    }))
    .await?;
    server.abort();
    Ok((prices, seen.most.load(Ordering::SeqCst)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (prices, most) = run(1_000).await?;
    assert_eq!(most, IN_FLIGHT);
    println!(
        "{} prices fetched, at most {most} calls in flight",
        prices.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thousand_calls_ten_in_flight() {
        let (prices, most) = run(1_000).await.unwrap();
        let expected: Vec<String> = (0..1_000).map(|item| (2 * item).to_string()).collect();
        assert_eq!(prices, expected);
        assert_eq!(most, IN_FLIGHT);
    }
}
