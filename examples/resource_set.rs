//! A set of two resources: granted together or not at all.
//!
//! Run with: cargo run --example resource_set

use std::{io, time::Duration};

use axum::{Router, extract::State, routing::get};
use tokio::{net::TcpListener, time::sleep};
use tower_concurrency_limiter::{Limiter, Resource};

/// How long an answer takes.
type Work = Duration;

fn app(work: Work) -> Router {
    let db = Resource::new("db", 4);
    let fs = Resource::new("fs", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);

    let usage = {
        let (db, fs) = (db.clone(), fs.clone());
        move || async move {
            format!(
                "db {}/{} in use, {} waiting; fs {}/{} in use, {} waiting\n",
                db.in_use(),
                db.limit(),
                db.waiting(),
                fs.in_use(),
                fs.limit(),
                fs.waiting(),
            )
        }
    };
    Router::new()
        .route(
            "/messages",
            get(answer).route_layer(limiter.resources([&db])),
        )
        .route("/file", get(answer).route_layer(limiter.resources([&fs])))
        // Waits until one unit of both is free; holds nothing of `db` while it waits for `fs`.
        .route(
            "/export",
            get(answer).route_layer(limiter.resources([&db, &fs])),
        )
        // Three queries in parallel, so three units of the database.
        .route(
            "/report",
            get(answer).route_layer(limiter.resources([db.units(3), fs.units(1)])),
        )
        .route("/usage", get(usage))
        .with_state(work)
}

async fn answer(State(work): State<Work>) -> &'static str {
    sleep(work).await;
    "done\n"
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000. Keep the disk busy, then look who has to wait:");
    println!("seq 4 | xargs -P 4 -I @ curl -s localhost:3000/file &");
    println!("sleep 0.5; curl -s localhost:3000/export &");
    println!("sleep 1; curl -s localhost:3000/usage; curl -s localhost:3000/messages; wait");
    axum::serve(listener, app(Duration::from_secs(2))).await
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use futures_util::future::join_all;
    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const WORK: Work = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_set_that_waits_for_the_disk_holds_nothing_of_the_database() {
        let app = app(WORK);
        let started = Instant::now();
        let files = join_all([get(&app, "/file"), get(&app, "/file")]);
        let export = async {
            get(&app, "/export").await;
            assert_eq!(started.elapsed(), 2 * WORK, "one wait, one answer");
        };
        let usage = async {
            let usage = get(&app, "/usage").await;
            assert_eq!(
                usage,
                "db 0/4 in use, 1 waiting; fs 2/2 in use, 1 waiting\n"
            );
        };
        let messages = async {
            get(&app, "/messages").await;
            assert_eq!(started.elapsed(), WORK, "no wait for the idle database");
        };
        tokio::join!(files, export, usage, messages);
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_takes_three_units_at_once() {
        let app = app(WORK);
        let reports = join_all([get(&app, "/report"), get(&app, "/report")]);
        let usage = async {
            let usage = get(&app, "/usage").await;
            assert_eq!(
                usage,
                "db 3/4 in use, 1 waiting; fs 1/2 in use, 1 waiting\n"
            );
        };
        tokio::join!(reports, usage);
    }
}
