//! Run with: cargo run --example resource_set
//!
//! A set of two resources: granted together or not at all.

use std::{io, time::Duration};

use axum::{Router, routing::get};
use tokio::{net::TcpListener, time::sleep};
use tower_concurrency_limiter::{Limiter, Resource};

/// The time of a response.
const WORK: Duration = Duration::from_secs(2);

fn app() -> Router {
    let db = Resource::new("db", 4);
    let fs = Resource::new("fs", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);

    let messages = limiter.resources([&db]);
    let file = limiter.resources([&fs]);
    // Waits until one unit of each is free; holds nothing of `db` while it waits for `fs`.
    let export = limiter.resources([&db, &fs]);
    // Three queries in parallel, so three units of the database.
    let report = limiter.resources([db.units(3), fs.units(1)]);
    Router::new()
        .route("/messages", get(answer).route_layer(messages))
        .route("/file", get(answer).route_layer(file))
        .route("/export", get(answer).route_layer(export))
        .route("/report", get(answer).route_layer(report))
        .route("/usage", get(async move || usage(&db) + &usage(&fs)))
}

async fn answer() -> &'static str {
    sleep(WORK).await;
    "done\n"
}

fn usage(resource: &Resource) -> String {
    let (in_use, limit) = (resource.in_use(), resource.limit());
    let limit = limit.expect("both have one");
    let (name, waiting) = (resource.name(), resource.waiting());
    format!("{name}: {in_use} of {limit} in use, {waiting} waiting\n")
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000. Keep the disk busy, then look who has to wait:");
    println!("seq 4 | xargs -P 4 -I @ curl -s localhost:3000/file &");
    println!("sleep 0.5; curl -s localhost:3000/export &");
    println!("sleep 1; curl -s localhost:3000/usage; curl -s localhost:3000/messages; wait");
    axum::serve(listener, app()).await
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

    #[tokio::test(start_paused = true)]
    async fn a_set_that_waits_for_the_disk_holds_nothing_of_the_database() {
        let app = app();
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
                "db: 0 of 4 in use, 1 waiting\nfs: 2 of 2 in use, 1 waiting\n"
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
        let app = app();
        let reports = join_all([get(&app, "/report"), get(&app, "/report")]);
        let usage = async {
            let usage = get(&app, "/usage").await;
            assert_eq!(
                usage,
                "db: 3 of 4 in use, 1 waiting\nfs: 1 of 2 in use, 1 waiting\n"
            );
        };
        tokio::join!(reports, usage);
    }
}
