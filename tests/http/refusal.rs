//! What a rejected request is told, byte for byte.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::ACCEPT};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Permit, Rate, Reason, Rejection, Resource,
    limiter::LimiterBuilder,
    middleware::{ProblemDetails, Reject, RequestHead},
};

use test_support::{
    events::{fields, listen},
    http::{Server, collect, connect_http1, get},
};
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

const BODY: &str = r#"{"detail":"Server busy, please retry later"}"#;

/// A limiter whose only unit is taken, and which lets nobody wait.
fn busy(builder: LimiterBuilder) -> (ConcurrencyLimitLayer, Permit) {
    let db = Resource::new("db", 1);
    let limiter = builder.timeout(Duration::ZERO).resources([&db]).build();
    let permit = limiter.try_acquire([&db]).expect("idle");
    (limiter.resources([&db]), permit)
}

async fn inner(_: Request<Empty<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    panic!("a rejected request never reaches the service")
}

/// The answer of the limited service to one request.
async fn refused<L, S, B>(layer: L, request: Request<Empty<Bytes>>) -> Response<Bytes>
where
    L: Layer<tower::util::ServiceFn<fn(Request<Empty<Bytes>>) -> Inner>, Service = S>,
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let service: fn(Request<Empty<Bytes>>) -> Inner = |request| Box::pin(inner(request));
    let response = layer.layer(service_fn(service)).oneshot(request).await;
    collect(response.expect("infallible")).await
}

type Inner = futures_util::future::BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>>;

fn assert_server_busy(response: &Response<Bytes>) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body(), BODY);
    let names: Vec<_> = response.headers().keys().collect();
    assert_eq!(names, ["content-type"], "no other header");
    assert_eq!(response.headers()["content-type"], "application/json");
    let rejection = response.extensions().get::<Rejection>();
    let rejection = rejection.expect("the rejection is in the extensions");
    assert_eq!(rejection.reason(), Reason::NotNow);
    assert_eq!(rejection.resource(), "db");
    assert_eq!(rejection.waited(), Duration::ZERO, "it was not queued");
    assert_eq!(rejection.retry_after(), None, "nobody knows");
}

#[tokio::test]
async fn server_busy_byte_for_byte() {
    let (layer, _permit) = busy(Limiter::builder());
    let until_body_end = refused(layer.clone(), get("/")).await;
    assert_server_busy(&until_body_end);
    let at_head = refused(layer.release_at_head(), get("/")).await;
    assert_server_busy(&at_head);
}

#[tokio::test]
async fn the_refusal_has_a_length_before_it_is_read() {
    let (layer, _permit) = busy(Limiter::builder());
    let service = layer.layer(service_fn(inner));
    let response = service.oneshot(get("/")).await.expect("infallible");
    let mut body = response.into_body();
    let hint = http_body::Body::size_hint(&body);
    assert_eq!(hint.exact(), Some(BODY.len() as u64));
    let frame = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(frame.into_data().expect("data"), BODY);
    assert!(http_body::Body::is_end_stream(&body), "one frame");
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(0));
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn server_busy_over_the_wire() {
    let (layer, _permit) = busy(Limiter::builder());
    let app = axum::Router::new().route("/", axum::routing::get(|| async {}).layer(layer));
    let server = Server::axum(app).await;
    let mut client = connect_http1(server.address).await;
    let response = client.send_request(get("/")).await.expect("an answer");
    let response = collect(response).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["content-length"], "44");
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(response.body(), BODY);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_reads_as_a_sentence() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::from_secs(5), [&db]);
    let _permit = limiter.try_acquire([&db]).expect("idle");
    let at_once = limiter.try_acquire([&db]).expect_err("busy");
    assert_eq!(at_once.to_string(), "resource \"db\" is not available now");
    let full = limiter.request([&db]).max_waiting(0).acquire().await;
    let full = full.expect_err("nobody waits");
    assert_eq!(full.to_string(), "the queue is full for resource \"db\"");
    let late = limiter.acquire([&db]).await.expect_err("busy");
    assert_eq!(
        late.to_string(),
        "timed out waiting for resource \"db\" after 5s"
    );
}

#[test]
fn retry_after_is_whole_seconds_rounded_up() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let _permit = limiter.try_acquire([&db]).expect("idle");
    let rejection = limiter.try_acquire([&db]).expect_err("busy");
    let header = |after: Duration| {
        let response = rejection.clone().with_retry_after(after).response();
        let header = response.headers()["retry-after"].to_str().expect("ascii");
        header.to_owned()
    };
    assert_eq!(header(Duration::from_secs(3)), "3");
    assert_eq!(header(Duration::from_millis(3_001)), "4");
    assert_eq!(header(Duration::from_nanos(1)), "1");
    assert_eq!(header(Duration::ZERO), "0");
    assert_eq!(header(Duration::MAX), u64::MAX.to_string(), "no overflow");
    assert!(!rejection.response().headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_policy_that_knows_says_when_to_come_back() {
    let (layer, _permit) = busy(Limiter::builder());
    let layer = layer.on_reject(|rejection: Rejection| {
        let rejection = rejection.with_retry_after(Duration::from_secs(7));
        rejection.response()
    });
    let response = refused(layer, get("/")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.body(), BODY);
    let rejection = response.extensions().get::<Rejection>().expect("there");
    assert_eq!(rejection.retry_after(), Some(Duration::from_secs(7)));
}

fn custom_limiter() -> LimiterBuilder {
    Limiter::builder().on_reject(|rejection: Rejection| {
        Response::builder()
            .status(StatusCode::TOO_MANY_REQUESTS)
            .header("x-short-of", rejection.resource())
            .body(format!("try {} later", rejection.resource()))
            .expect("a response")
    })
}

fn assert_custom(response: &Response<Bytes>) {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["x-short-of"], "db");
    assert!(!response.headers().contains_key("content-type"), "its own");
    assert_eq!(response.body(), "try db later");
    assert!(response.extensions().get::<Rejection>().is_some());
}

#[tokio::test]
async fn the_limiter_says_what_all_its_layers_answer() {
    let (layer, _permit) = busy(custom_limiter());
    assert_custom(&refused(layer.clone(), get("/")).await);
    assert_custom(&refused(layer.release_at_head(), get("/")).await);
}

/// The closure may start from the default response.
#[tokio::test]
async fn the_limiters_answer_may_build_on_the_default() {
    let (layer, _permit) = busy(Limiter::builder().on_reject(|rejection: Rejection| {
        let after = Duration::from_secs(9);
        rejection.with_retry_after(after).response()
    }));
    let response = refused(layer, get("/")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body(), BODY);
    assert_eq!(response.headers()["retry-after"], "9");
    let rejection = response.extensions().get::<Rejection>().expect("there");
    assert_eq!(rejection.retry_after(), Some(Duration::from_secs(9)));
    let again = rejection.response();
    assert_eq!(again.headers()["retry-after"], "9", "the same answer");
}

#[tokio::test]
async fn a_layer_says_otherwise() {
    let (layer, _permit) = busy(custom_limiter());
    let layer = layer.on_reject(|rejection: Rejection| {
        let mut response = Response::new(rejection.reason().as_str());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let until_body_end = refused(layer.clone(), get("/")).await;
    let at_head = refused(layer.release_at_head(), get("/")).await;
    for response in [until_body_end, at_head] {
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.body(), "not_now");
        assert!(response.headers().is_empty(), "nothing is added");
        let rejection = response.extensions().get::<Rejection>();
        assert!(rejection.is_some(), "but the rejection");
    }
}

#[tokio::test]
async fn on_reject_after_release_at_head_is_the_same() {
    let (layer, _permit) = busy(Limiter::builder());
    let layer = layer
        .release_at_head()
        .on_reject(|rejection: Rejection| Response::new(rejection.to_string()));
    let response = refused(layer, get("/")).await;
    assert_eq!(
        response.status(),
        StatusCode::OK,
        "whatever the policy says"
    );
    assert!(
        response
            .body()
            .starts_with(b"resource \"db\" is not available now")
    );
}

#[tokio::test]
async fn a_policy_sees_the_whole_request() {
    #[derive(Clone)]
    struct Negotiate;

    impl<B> Reject<Request<B>, Response<Full<Bytes>>> for Negotiate {
        fn reject(&self, request: Request<B>, _: Rejection) -> Response<Full<Bytes>> {
            let html = request
                .headers()
                .get(ACCEPT)
                .is_some_and(|a| a == "text/html");
            let path = request.uri().path().to_owned();
            Response::new(Full::from(if html {
                format!("<h1>{path}</h1>")
            } else {
                path
            }))
        }
    }

    let (layer, _permit) = busy(Limiter::builder());
    let layer = layer.reject_with(Negotiate);
    let mut request = get("/page");
    let html = http::HeaderValue::from_static("text/html");
    request.headers_mut().insert(ACCEPT, html);
    let html = refused(layer.clone(), request).await;
    assert_eq!(html.body(), "<h1>/page</h1>");
    let plain = refused(layer.release_at_head(), get("/page")).await;
    assert_eq!(plain.body(), "/page");
    assert!(plain.extensions().get::<Rejection>().is_some());
}

#[tokio::test]
async fn outer_layers_see_the_rejection() {
    let (layer, _permit) = busy(Limiter::builder());
    let app = axum::Router::new()
        .route("/", axum::routing::get(|| async {}))
        .layer(layer)
        .layer(axum::middleware::map_response(
            |mut response: Response<Body>| async {
                let reason = response.extensions().get().map(Rejection::reason);
                let reason = reason.map_or("none", Reason::as_str);
                let reason = http::HeaderValue::from_static(reason);
                response.headers_mut().insert("x-reason", reason);
                response
            },
        ));
    let request = Request::get("/").body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("infallible");
    assert_eq!(response.headers()["x-reason"], "not_now");
}

fn assert_problem(response: &Response<Bytes>, body: &str) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let names: Vec<_> = response.headers().keys().collect();
    assert_eq!(names, ["content-type"], "no other header");
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert_eq!(response.body(), body);
    let rejection = response.extensions().get::<Rejection>();
    assert_eq!(rejection.expect("it is there").resource(), "db");
}

#[tokio::test]
async fn problem_details_byte_for_byte() {
    let body = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"#.to_owned()
        + r#""detail":"the queue is full for resource \"db\"","#
        + r#""resource":"db","reason":"queue_full"}"#;
    let (layer, _permit) = busy(Limiter::builder());
    let layer = layer.timeout(Duration::from_secs(5)).max_waiting(0);
    let problem = layer.reject_with(ProblemDetails);
    assert_problem(&refused(problem.clone(), get("/")).await, &body);
    assert_problem(&refused(problem.release_at_head(), get("/")).await, &body);

    let (layer, _permit) =
        busy(Limiter::builder().on_reject(|rejection| rejection.problem_response()));
    let layer = layer.timeout(Duration::from_secs(5)).max_waiting(0);
    assert_problem(&refused(layer.clone(), get("/")).await, &body);
    assert_problem(&refused(layer.release_at_head(), get("/")).await, &body);
}

#[test]
fn problem_details_have_the_status_and_the_hint_of_the_default_response() {
    for (builder, status, title) in [
        (Limiter::builder(), 503, "Service Unavailable"),
        (
            Limiter::builder().reject_with_too_many_requests(),
            429,
            "Too Many Requests",
        ),
    ] {
        let api = Resource::builder("api").rate(Rate::per_minute(1)).build();
        let limiter = builder.resources([&api]).build();
        drop(limiter.try_acquire([&api]).expect("the first one"));
        let rejection = limiter.try_acquire([&api]).expect_err("one in a minute");
        let rejection = rejection.with_retry_after(Duration::from_millis(59_001));
        let response = rejection.problem_response();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["retry-after"], "60");
        let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body["status"], status);
        assert_eq!(body["title"], title);
        assert_eq!(body["detail"], rejection.to_string());
        assert_eq!(body["retry_after"], 60);
    }
}

#[test]
fn problem_details_name_any_resource() {
    let name: String = (char::MIN..='\u{d7ff}').chain(['\u{10ffff}']).collect();
    let resource = Resource::new(&*name, 1);
    let limiter = Limiter::new(Duration::ZERO, [&resource]);
    let _permit = limiter.try_acquire([&resource]).expect("idle");
    let rejection = limiter.try_acquire([&resource]).expect_err("busy");
    let response = rejection.problem_response();
    let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(body["resource"], name);
    assert_eq!(body["detail"], rejection.to_string());
    assert_eq!(body["reason"], rejection.reason().as_str());
    assert_eq!(body.as_object().expect("an object").len(), 6);
}

/// The request head is for predicates; it can be made by hand, for their tests.
#[test]
fn a_request_head_shows_all_but_the_body() {
    let mut request = get("/path?query");
    request.extensions_mut().insert(7_u32);
    let head = RequestHead::from(&request);
    assert_eq!(head.method(), "GET");
    assert_eq!(head.uri(), "/path?query");
    assert_eq!(head.version(), http::Version::HTTP_11);
    assert_eq!(head.headers()["host"], "localhost");
    assert_eq!(head.extensions().get::<u32>(), Some(&7));
}

/// The closures of the limiter and of the layer are of the same types.
#[tokio::test]
async fn one_closure_for_the_limiter_and_for_the_layer() {
    async fn says<F, B, M>(respond: F)
    where
        F: Fn(Rejection) -> Response<B> + Clone + Send + Sync + 'static,
        B: tower_concurrency_limiter::rejection::RefusalBody<M>,
    {
        let (layer, _permit) = busy(Limiter::builder());
        let (limiters, _other) = busy(Limiter::builder().on_reject(respond.clone()));
        let answers = [
            refused(limiters.clone(), get("/")).await,
            refused(limiters.release_at_head(), get("/")).await,
            refused(layer.clone().on_reject(respond.clone()), get("/")).await,
            refused(layer.release_at_head().on_reject(respond), get("/")).await,
        ];
        for answer in answers {
            assert_eq!(answer.body(), "db is busy");
            assert!(answer.extensions().get::<Rejection>().is_some());
        }
    }
    says(|rejection| Response::new(format!("{} is busy", rejection.resource()))).await;
    says(|_| Response::new("db is busy")).await;
    says(|_| Response::new(b"db is busy".to_vec())).await;
    says(|_| Response::new(Bytes::from("db is busy"))).await;
    says(|_| Response::new(Full::new(Bytes::from("db is busy")))).await;
    says(|_| Response::new(Body::from("db is busy"))).await;
    says(|_| axum::response::IntoResponse::into_response("db is busy")).await;
    says(|rejection| rejection.response().map(|_| "db is busy")).await;
}

/// A refusal is made of bytes, so it does not matter what the service's body has become.
#[tokio::test]
async fn a_refusal_outside_of_layers_that_change_the_body() {
    let (layer, _permit) = busy(Limiter::builder());
    let stack = tower::ServiceBuilder::new()
        .layer(layer.on_reject(|_| Response::new(Body::from("later"))))
        .layer(tower_http::compression::CompressionLayer::new())
        .into_inner();
    assert_eq!(refused(stack, get("/")).await.body(), "later");
}

/// The default is sent, and the log says once why.
#[tokio::test]
async fn a_refusal_that_is_not_ready_is_not_sent() {
    let (heard, _guard) = listen(LevelFilter::WARN);
    let slow = |_| Response::new(Body::from_stream(futures_util::stream::pending::<Chunk>()));
    let (limiters, _permit) = busy(Limiter::builder().on_reject(slow));
    assert_server_busy(&refused(limiters.clone(), get("/")).await);
    assert_server_busy(&refused(limiters, get("/")).await);
    let (layer, _other) = busy(Limiter::builder());
    assert_server_busy(&refused(layer.on_reject(slow), get("/")).await);
    let message = "the body of a refusal was not ready, and the default was sent: return bytes or \
                   text from `on_reject`, or use `reject_with` on the layer for a body that streams";
    let warning = (
        Level::WARN,
        message.to_owned(),
        fields([("resource", "db")]),
    );
    assert_eq!(
        heard.events(),
        [warning.clone(), warning],
        "once for each closure"
    );
}

type Chunk = Result<Bytes, Infallible>;
