//! Run with: cargo run --example blocking
//!
//! A blocking query: the permit moves into `spawn_blocking`, where the work is.
//!
//! A dropped request drops its handler, but the closure on the blocking thread runs to its end. If
//! the permit stayed in the handler, each client that gives up would release a unit that a query
//! still uses.

use std::{io, sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::get};
use tokio::{net::TcpListener, task::spawn_blocking};
use tower_concurrency_limiter::{Limiter, PermitHandle, Rejection, Resource};

/// Stands for a driver without async, such as `rusqlite`.
type Query = Arc<dyn Fn() -> &'static str + Send + Sync>;

#[derive(Clone)]
struct App {
    db: Resource,
    limiter: Limiter,
    query: Query,
}

fn app(query: Query) -> Router {
    let db = Resource::new("db", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let layer = limiter.resources([&db]).expose_permit();
    Router::new()
        .route("/messages", get(messages).route_layer(layer))
        .route("/report", get(report))
        .route("/usage", get(usage))
        .with_state(App { db, limiter, query })
}

/// Limited by its layer, which exposes the permit to the handler.
async fn messages(permit: PermitHandle, State(app): State<App>) -> &'static str {
    let permit = permit.take();
    let rows = spawn_blocking(move || {
        let _permit = permit; // released when the query is done
        (app.query)()
    });
    rows.await.unwrap_or("the query panicked\n")
}

/// A route without a layer: acquires the database where it is needed. A rejection is the same 503.
async fn report(State(app): State<App>) -> Result<&'static str, Rejection> {
    let permit = app.limiter.acquire([&app.db]).await?;
    let rows = spawn_blocking(move || {
        let _permit = permit;
        (app.query)()
    });
    Ok(rows.await.unwrap_or("the query panicked\n"))
}

async fn usage(State(App { db, .. }): State<App>) -> String {
    let (in_use, limit, waiting) = (db.in_use(), db.limit(), db.waiting());
    let limit = limit.expect("it has one");
    format!("{in_use} of {limit} in use, {waiting} waiting\n")
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000. Give up after 1 s; the query takes 3 s:");
    println!("curl -sm 1 localhost:3000/messages; curl -s localhost:3000/usage");
    axum::serve(listener, app(Arc::new(slow_query))).await
}

#[expect(
    clippy::disallowed_methods,
    reason = "stands for a query that blocks its thread"
)]
fn slow_query() -> &'static str {
    std::thread::sleep(Duration::from_secs(3));
    "rows\n"
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode},
    };
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// A query that signals when it begins, and ends on a signal.
    struct Driver {
        begun: tokio::sync::mpsc::UnboundedReceiver<()>,
        finish: mpsc::Sender<()>,
    }

    fn driver() -> (Query, Driver) {
        let (begin, begun) = tokio::sync::mpsc::unbounded_channel();
        let (finish, finished) = mpsc::channel();
        let finished = Mutex::new(finished);
        let query = move || {
            begin.send(()).unwrap();
            finished.lock().unwrap().recv().unwrap();
            "rows\n"
        };
        (Arc::new(query), Driver { begun, finish })
    }

    #[tokio::test]
    async fn the_permit_is_the_query_s_not_the_request_s() {
        for path in ["/messages", "/report"] {
            let (query, mut driver) = driver();
            let app = app(query);
            let request = tokio::spawn({
                let app = app.clone();
                async move { get(&app, path).await }
            });
            driver.begun.recv().await.unwrap();
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
            let (_, usage) = get(&app, "/usage").await;
            assert_eq!(usage, "1 of 2 in use, 0 waiting\n", "the query still runs");

            driver.finish.send(()).unwrap();
            let usage = async {
                while get(&app, "/usage").await.1 != "0 of 2 in use, 0 waiting\n" {
                    tokio::task::yield_now().await;
                }
            };
            usage.await;
        }
    }

    #[tokio::test]
    async fn both_ways_answer_with_rows() {
        let app = app(Arc::new(|| "rows\n"));
        for path in ["/messages", "/report"] {
            assert_eq!(get(&app, path).await, (StatusCode::OK, "rows\n".to_owned()));
        }
    }

    #[tokio::test]
    async fn both_ways_answer_503_when_the_database_is_busy() {
        let (query, mut driver) = driver();
        let app = app(query);
        let running: Vec<_> = (0..2)
            .map(|_| {
                let app = app.clone();
                tokio::spawn(async move { get(&app, "/messages").await })
            })
            .collect();
        driver.begun.recv().await.unwrap();
        // The other query blocks at the mutex of the first; both hold a permit.
        driver.begun.recv().await.unwrap();

        tokio::time::pause();
        for path in ["/messages", "/report"] {
            let five_seconds = tokio::time::advance(Duration::from_secs(5));
            let ((status, body), ()) = tokio::join!(get(&app, path), five_seconds);
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(body, r#"{"detail":"Server busy, please retry later"}"#);
        }
        for _ in &running {
            driver.finish.send(()).unwrap();
        }
        for query in running {
            assert_eq!(query.await.unwrap().1, "rows\n");
        }
    }
}
