//! Run with: cargo run --example graceful_shutdown
//!
//! On Ctrl-C nobody is queued any more, and what runs is waited for: the queries of open
//! connections, and those that were handed to other threads, of which the server does not know.

use std::{io, time::Duration};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, signal, time::timeout};
use tower_concurrency_limiter::{Limiter, PermitHandle, Resource};

/// How long a deploy waits for the work under way.
const PATIENCE: Duration = Duration::from_secs(30);

fn app() -> (Router, Limiter) {
    let db = Resource::new("db", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let report_limit = limiter.resources([&db]).expose_permit();
    let app = Router::new()
        .route("/rows", get(rows).route_layer(limiter.resources([&db])))
        .route("/report", get(report).route_layer(report_limit));
    (app, limiter)
}

async fn rows() -> &'static str {
    tokio::time::sleep(Duration::from_secs(3)).await;
    "rows\n"
}

/// Answered at once, while the report is still being written.
async fn report(permit: PermitHandle) -> &'static str {
    let permit = permit.take();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(permit);
    });
    "it will be there in ten seconds\n"
}

/// Resolves on Ctrl-C. From then on whoever waits, and whoever comes, is answered with a 503.
async fn shutdown(limiter: Limiter) {
    if signal::ctrl_c().await.is_err() {
        return std::future::pending().await; // no signals here; the server stays
    }
    limiter.close();
    println!("Closing.");
}

/// Waits for what is held; whether it was returned in time.
async fn drain(limiter: &Limiter) -> bool {
    timeout(PATIENCE, limiter.drained()).await.is_ok()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let (app, limiter) = app();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000. Press Ctrl-C while these run:");
    println!(
        "curl -s localhost:3000/report; for i in 1 2 3; do curl -si localhost:3000/rows & done"
    );
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown(limiter.clone()))
        .await?;
    match drain(&limiter).await {
        true => println!("All work is done."),
        false => println!("Some work is not done after {PATIENCE:?}: {limiter:?}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, StatusCode},
        response::Response,
    };
    use tokio::{task::JoinHandle, time::Instant};
    use tower::ServiceExt;
    use tower_concurrency_limiter::{Reason, Rejection};

    use super::*;

    async fn get(app: Router, path: &'static str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.oneshot(request).await.unwrap()
    }

    async fn begin(app: &Router, path: &'static str) -> JoinHandle<Response> {
        let response = tokio::spawn(get(app.clone(), path));
        tokio::task::yield_now().await;
        response
    }

    fn is_closed(response: &Response) -> bool {
        let rejection = response.extensions().get::<Rejection>();
        response.status() == StatusCode::SERVICE_UNAVAILABLE
            && rejection.is_some_and(|rejection| rejection.reason() == Reason::Closed)
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_is_waited_for_and_nobody_waits_any_more() {
        let (app, limiter) = app();
        let running = [begin(&app, "/rows").await, begin(&app, "/rows").await];
        let waiting = begin(&app, "/rows").await;
        limiter.close();
        assert!(is_closed(&waiting.await.unwrap()));
        assert!(is_closed(&get(app, "/rows").await));
        let start = Instant::now();
        let answered = async {
            for response in running {
                assert_eq!(response.await.unwrap().status(), StatusCode::OK);
            }
        };
        let (drained, ()) = tokio::join!(drain(&limiter), answered);
        assert!(drained);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    /// The server has answered it long ago.
    #[tokio::test(start_paused = true)]
    async fn work_elsewhere_is_waited_for() {
        let (app, limiter) = app();
        let start = Instant::now();
        assert_eq!(get(app, "/report").await.status(), StatusCode::OK);
        limiter.close();
        assert!(drain(&limiter).await);
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let (_app, limiter) = app();
        let stuck = limiter.acquire(limiter.registered_resources()).await;
        limiter.close();
        let start = Instant::now();
        assert!(!drain(&limiter).await);
        assert_eq!(start.elapsed(), PATIENCE);
        drop(stuck);
    }
}
