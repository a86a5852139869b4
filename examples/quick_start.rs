//! Run with: cargo run --example quick_start
//!
//! The program of the README: three routes, a database and a disk.
//!
//! Then send 40 requests at once, and count the answers. Each takes 2 s, 5 run at a time, and
//! nobody waits for longer than 5 s:
//!
//! ```sh
//! seq 40 | xargs -P 40 -I @ curl -so /dev/null -w '%{http_code}\n' localhost:3000/query | sort | uniq -c
//! #     15 200
//! #     25 503
//! ```

use std::{io, time::Duration};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, time::sleep};
use tower_concurrency_limiter::{Limiter, Resource};

fn app() -> Router {
    let db = Resource::new("db", 5); // at most 5 requests use the database at once
    let fs = Resource::new("fs", 10);
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
    Router::new()
        .route("/query", get(query).route_layer(limiter.resources([&db])))
        .route("/file", get(file).route_layer(limiter.resources([&fs])))
        .route("/csv", get(csv).route_layer(limiter.resources([&db, &fs])))
}

async fn query() -> &'static str {
    sleep(Duration::from_secs(2)).await; // a slow query
    "rows\n"
}

async fn file() -> &'static str {
    "a file\n"
}

async fn csv() -> &'static str {
    "rows, written to a file\n"
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000");
    axum::serve(listener, app()).await
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode, header::CONTENT_TYPE},
        response::Response,
    };
    use futures_util::future::join_all;
    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn of_40_requests_15_are_served_and_25_get_503() {
        let app = app();
        let started = Instant::now();
        let answers = join_all((0..40).map(|_| async {
            let response = get(&app, "/query").await;
            let status = response.status();
            let body = text(response).await;
            (status, body, started.elapsed().as_secs())
        }))
        .await;

        let count = |status, body, seconds| {
            let wanted = (status, String::from(body), seconds);
            answers.iter().filter(|answer| **answer == wanted).count()
        };
        for seconds in [2, 4, 6] {
            assert_eq!(count(StatusCode::OK, "rows\n", seconds), 5);
        }
        let busy = r#"{"detail":"Server busy, please retry later"}"#;
        assert_eq!(count(StatusCode::SERVICE_UNAVAILABLE, busy, 5), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_database_does_not_slow_down_the_file() {
        let app = app();
        let started = Instant::now();
        let queries = join_all((0..40).map(|_| get(&app, "/query")));
        let file = async {
            tokio::task::yield_now().await;
            let response = get(&app, "/file").await;
            assert_eq!(text(response).await, "a file\n");
            assert_eq!(started.elapsed(), Duration::ZERO);
        };
        tokio::join!(queries, file);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_json() {
        let app = app();
        let answers = join_all((0..40).map(|_| get(&app, "/query"))).await;
        let refusal = answers
            .iter()
            .find(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE)
            .unwrap();
        assert_eq!(refusal.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn the_readme_shows_this_program() {
        let source = include_str!("quick_start.rs");
        let (_, program) = source.split_once("\nuse ").unwrap();
        let (program, _) = program.split_once("\n#[cfg(test)]").unwrap();
        let readme = include_str!("../README.md");
        assert!(
            readme.contains(program.trim()),
            "README.md should show examples/quick_start.rs as it is"
        );
    }
}
