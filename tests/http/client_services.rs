//! Limits around clients, as in a reverse proxy.

use std::time::Duration;

use axum::{Router, body::Body, extract::Request, http::StatusCode, routing::get};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_concurrency_limiter::{Limiter, Resource, middleware::LimitError};

use test_support::http::{Server, collect};

fn limited_api() -> (Resource, Limiter) {
    let api = Resource::new("api", 1);
    let limiter = Limiter::new(Duration::ZERO, [&api]);
    (api, limiter)
}

async fn upstream() -> Server {
    Server::axum(Router::new().route("/rows", get(|| async { "rows" }))).await
}

fn hyper_client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

#[tokio::test]
async fn a_reverse_proxy_on_the_client_of_hyper_util() {
    let upstream = upstream().await;
    let (api, limiter) = limited_api();
    let client = limiter.resources([&api]).layer(hyper_client());
    let address = upstream.address;
    let proxy = Router::new().fallback(move |mut request: Request| async move {
        let uri = format!("http://{address}{}", request.uri().path());
        *request.uri_mut() = uri.parse().expect("a URI");
        let answer = client.oneshot(request).await;
        answer.map_err(|_| StatusCode::BAD_GATEWAY)
    });
    let ask = || {
        let request = Request::get("/rows").body(Body::empty());
        proxy.clone().oneshot(request.expect("a request"))
    };
    let answer = ask().await.expect("infallible");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(api.in_use(), 1, "until the body has been passed on");
    let refused = ask().await.expect("infallible");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(collect(answer).await.body(), "rows");
    assert_eq!(api.in_use(), 0);
    assert_eq!(ask().await.expect("infallible").status(), StatusCode::OK);
}

#[tokio::test]
async fn reqwest_with_wrapped_errors() {
    let upstream = upstream().await;
    let (api, limiter) = limited_api();
    let mut client = ServiceBuilder::new()
        .layer(limiter.resources([&api]).for_any_service().wrap_errors())
        .service(reqwest::Client::new());
    let request = || {
        let url = format!("http://{}/rows", upstream.address);
        reqwest::Request::new(reqwest::Method::GET, url.parse().expect("a URL"))
    };
    let answer = client.call(request()).await.expect("an answer");
    assert_eq!(api.in_use(), 0, "returned with the head");
    assert_eq!(answer.text().await.expect("a body"), "rows");
    let _busy = limiter.try_acquire([&api]).expect("idle");
    match client.call(request()).await {
        Err(LimitError::Rejected(rejection)) => assert_eq!(rejection.resource(), "api"),
        other => panic!("the API is busy: {other:?}"),
    }
}
