//! Run with: cargo run --example stream
//!
//! A streamed response: the permit is held until the last row is sent, because the query runs until
//! then.

use std::{convert::Infallible, io, time::Duration};

use axum::{Router, body::Body, routing::get};
use futures_util::stream;
use tokio::{net::TcpListener, time::sleep};
use tower_concurrency_limiter::{Limiter, Resource};

fn app() -> Router {
    let db = Resource::new("db", 2);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let until_end = limiter.resources([&db]);
    // For a handler that has read all that it needs when it returns.
    let at_head = limiter.resources([&db]).release_at_head();
    let usage = move || async move {
        let limit = db.limit().expect("it has one");
        format!("{} of {limit} in use\n", db.in_use())
    };
    Router::new()
        .route("/rows", get(rows).route_layer(until_end))
        .route("/loaded", get(rows).route_layer(at_head))
        .route("/usage", get(usage))
}

/// Ten rows, one every 300 ms.
async fn rows() -> Body {
    Body::from_stream(stream::unfold(0, |row| async move {
        if row == 10 {
            return None;
        }
        sleep(Duration::from_millis(300)).await;
        Some((Ok::<_, Infallible>(format!("row {row}\n")), row + 1))
    }))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000. Look at the usage while the rows arrive:");
    println!("curl -sN localhost:3000/rows & sleep 1; curl -s localhost:3000/usage; wait");
    println!("curl -sN localhost:3000/loaded & sleep 1; curl -s localhost:3000/usage; wait");
    axum::serve(listener, app()).await
}

#[cfg(test)]
mod tests {
    use axum::{
        body::to_bytes,
        http::{Request, StatusCode},
        response::Response,
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(app: &Router, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    async fn usage(app: &Router) -> String {
        let body = get(app, "/usage").await.into_body();
        String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_permit_lasts_until_the_last_row() {
        let app = app();
        let mut response = get(&app, "/rows").await;
        for _ in 0..10 {
            response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(usage(&app).await, "1 of 2 in use\n");
        }
        assert!(response.body_mut().frame().await.is_none());
        assert_eq!(usage(&app).await, "0 of 2 in use\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_returns_the_permit() {
        let app = app();
        let mut response = get(&app, "/rows").await;
        response.body_mut().frame().await.unwrap().unwrap();
        drop(response);
        assert_eq!(usage(&app).await, "0 of 2 in use\n");
    }

    #[tokio::test(start_paused = true)]
    async fn two_unread_streams_make_the_third_wait_in_vain() {
        let app = app();
        let _unread = [get(&app, "/rows").await, get(&app, "/rows").await];
        let third = get(&app, "/rows").await;
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test(start_paused = true)]
    async fn released_at_the_head_the_stream_holds_nothing() {
        let app = app();
        let _unread = get(&app, "/loaded").await;
        assert_eq!(usage(&app).await, "0 of 2 in use\n");
    }
}
