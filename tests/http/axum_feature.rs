//! Feature `axum`: rejections answer from within handlers, and handlers extract their permit.

use std::time::Duration;

use axum::{Router, body::Body, extract::State, response::IntoResponse, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower::ServiceExt;
use tower_concurrency_limiter::{Limiter, PermitHandle, Rejection, Resource};

use test_support::http::collect;

async fn answer(app: Router, path: &str) -> Response<Bytes> {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    collect(app.oneshot(request).await.expect("infallible")).await
}

#[tokio::test]
async fn a_handler_that_acquires_answers_the_same_503_as_the_layer() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let by_hand = |State((limiter, db)): State<(Limiter, Resource)>| async move {
        let _permit = limiter.acquire([&db]).await?;
        Ok::<_, Rejection>("rows")
    };
    let app = Router::new()
        .route("/by-hand", get(by_hand))
        .route(
            "/layer",
            get(|| async { "rows" }).layer(limiter.resources([&db])),
        )
        .with_state((limiter.clone(), db.clone()));

    assert_eq!(answer(app.clone(), "/by-hand").await.body(), "rows");
    let _permit = limiter.try_acquire([&db]).expect("idle");
    let by_hand = answer(app.clone(), "/by-hand").await;
    let by_layer = answer(app, "/layer").await;
    assert_eq!(by_hand.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        by_hand.body(),
        r#"{"detail":"Server busy, please retry later"}"#
    );
    assert_eq!(by_hand.status(), by_layer.status());
    assert_eq!(by_hand.body(), by_layer.body());
    assert_eq!(by_hand.headers()["content-type"], "application/json");
    assert_eq!(
        by_hand.headers().get("content-type"),
        by_layer.headers().get("content-type")
    );
    let rejection = by_hand.extensions().get::<Rejection>().expect("there");
    assert_eq!(rejection.resource(), "db");
}

#[tokio::test]
async fn the_limiters_own_answer_is_given_by_handlers_too() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::builder()
        .resources([&db])
        .on_reject(|_| {
            let mut response = Response::new("later");
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            response
        })
        .build();
    let _permit = limiter.try_acquire([&db]).expect("idle");
    let rejection = limiter.try_acquire([&db]).expect_err("busy");
    let response = collect(rejection.into_response()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.body(), "later");
}

#[tokio::test]
async fn a_handler_extracts_its_permit() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let handler = |permit: PermitHandle| async move {
        let permit = permit.take().expect("not taken yet");
        let claims: Vec<_> = permit
            .claims()
            .map(|(r, n)| (r.name().to_owned(), n))
            .collect();
        format!("{claims:?}")
    };
    let layer = limiter.resources([&db]).expose_permit();
    let app = Router::new().route("/", get(handler).route_layer(layer));
    let response = answer(app, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body(), r#"[("db", 1)]"#);
    assert_eq!(db.in_use(), 0);
}

#[tokio::test]
async fn a_handler_without_the_layer_is_told_the_cure() {
    let app = Router::new().route("/", get(|_: PermitHandle| async {}));
    let response = answer(app, "/").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        response.body(),
        "no permit in the request; limit this route with \
         `limiter.resources([..]).expose_permit()`"
    );
}

#[tokio::test]
async fn a_layer_that_does_not_expose_its_permit_has_no_handle() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let handler = |permit: Option<axum::Extension<PermitHandle>>| async move {
        assert!(permit.is_none(), "nobody asked for it");
    };
    let app = Router::new().route("/", get(handler).layer(limiter.resources([&db])));
    assert_eq!(answer(app, "/").await.status(), StatusCode::OK);
}

/// A handler is tested without the layer: the handle is put into the request by hand.
#[tokio::test]
async fn a_handle_made_by_hand_is_extracted() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let handler = |permit: PermitHandle| async move { format!("{:?}", permit.take()) };
    let app = Router::new().route("/", get(handler));
    let ask = async |handle: PermitHandle| {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(handle);
        collect(app.clone().oneshot(request).await.expect("infallible")).await
    };
    let permit = limiter.try_acquire([&db]).expect("idle");
    let answer = ask(PermitHandle::from(permit)).await;
    assert_eq!(answer.body(), r#"Some(Permit {"db": 1})"#);
    assert_eq!(db.in_use(), 0, "returned by the handler");
    assert_eq!(ask(PermitHandle::empty()).await.body(), "None");
}
