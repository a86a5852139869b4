//! Limited gRPC services: servers of tonic and of axum on real ports, and clients of tonic.

mod echo;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::{Empty, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};
use tonic::{
    Code, Status,
    body::Body,
    service::{LayerExt, Routes},
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use tonic_web::{GrpcWebClientLayer, GrpcWebLayer};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Permit, Rate, Reason, Rejection, Resource,
    limiter::LimiterBuilder,
    middleware::{GrpcStatus, ProblemDetails},
};

use echo::{CHAT, DOWNLOAD, Echo, METHODS, RESPONSE_STREAMS, TEXT, UNARY, UPLOAD, call, call_by};
use test_support::http::{Server, Stage, collect, connect_http1, connect_http2, until};

const BUSY: &str = r#"{"detail":"Server busy, please retry later"}"#;

/// A server with limit 1 that is limited in one of the ways, and a client of it.
struct Trial {
    db: Resource,
    limiter: Limiter,
    stage: Stage,
    channel: Channel,
    server: Server,
}

impl Trial {
    /// Requests that do not fit are rejected at once.
    async fn start(place: Place) -> Self {
        Self::with(place, Limiter::builder().timeout(Duration::ZERO)).await
    }

    async fn with(place: Place, builder: LimiterBuilder) -> Self {
        let db = Resource::new("db", 1);
        let limiter = builder.resources([&db]).build();
        let stage = Stage::new();
        let server = place(Echo(stage.clone()), limiter.resources([&db])).await;
        let channel = connect(server.address).await;
        Self {
            db,
            limiter,
            stage,
            channel,
            server,
        }
    }

    fn take(&self) -> Permit {
        self.limiter.try_acquire([&self.db]).expect("it is free")
    }

    async fn call(&self, method: &'static str) -> Result<String, Status> {
        call(self.channel.clone(), method).await
    }

    /// A call that runs on its own.
    fn spawn(&self, method: &'static str) -> tokio::task::JoinHandle<Result<String, Status>> {
        tokio::spawn(call(self.channel.clone(), method))
    }

    async fn is_free(&self) {
        until("the permit is back", || self.db.in_use() == 0).await;
    }
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::try_from(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

type Place = fn(Echo, ConcurrencyLimitLayer) -> futures_util::future::BoxFuture<'static, Server>;

/// Where the layer stands; the permit is held until the body ends.
const UNTIL_BODY_END: [Place; 3] = [
    |echo, layer| {
        Box::pin(Server::start(|listener| async {
            let mut server = tonic::transport::Server::builder().layer(layer);
            let server = server.add_service(echo);
            let served = server.serve_with_incoming(TcpIncoming::from(listener));
            served.await.expect("serves for ever");
        }))
    },
    |echo, layer| Box::pin(serve(Routes::new(layer.named_layer(echo)))),
    |echo, layer| {
        let routes = Routes::new(echo).into_axum_router();
        Box::pin(Server::axum(routes.layer(layer)))
    },
];

/// The same with the permit released at the head.
const AT_HEAD: [Place; 3] = [
    |echo, layer| {
        Box::pin(Server::start(|listener| async {
            let layer = layer.release_at_head().reject_with(GrpcStatus);
            let mut server = tonic::transport::Server::builder().layer(layer);
            let server = server.add_service(echo);
            let served = server.serve_with_incoming(TcpIncoming::from(listener));
            served.await.expect("serves for ever");
        }))
    },
    |echo, layer| {
        let layer = layer.release_at_head().reject_with(GrpcStatus);
        Box::pin(serve(Routes::new(layer.named_layer(echo))))
    },
    |echo, layer| {
        let routes = Routes::new(echo).into_axum_router();
        Box::pin(Server::axum(routes.layer(layer.release_at_head())))
    },
];

const PER_SERVER: Place = UNTIL_BODY_END[0];
const UNDER_AXUM: Place = UNTIL_BODY_END[2];

async fn serve(routes: Routes) -> Server {
    Server::start(|listener| async {
        let server = tonic::transport::Server::builder().add_routes(routes);
        let served = server.serve_with_incoming(TcpIncoming::from(listener));
        served.await.expect("serves for ever");
    })
    .await
}

fn assert_rejected(status: &Status, message: &str) {
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!(status.message(), message);
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    assert!(pushback.is_none(), "it is not known when to retry");
}

#[tokio::test]
async fn every_call_is_rejected_as_grpc_wherever_the_layer_stands() {
    for place in UNTIL_BODY_END.into_iter().chain(AT_HEAD) {
        let trial = Trial::start(place).await;
        let permit = trial.take();
        for method in METHODS {
            let status = trial.call(method).await.expect_err("the unit is held");
            let rejection = trial.limiter.try_acquire([&trial.db]).expect_err("held");
            assert_rejected(&status, &rejection.to_string());
        }
        drop(permit);
        trial.stage.let_off(1);
        let served = trial.call(UNARY).await.expect("the unit is free");
        assert_eq!(served, TEXT, "the connection is as good as before");
    }
}

#[tokio::test]
async fn a_permit_lasts_until_the_call_ends() {
    for place in UNTIL_BODY_END {
        let trial = Trial::start(place).await;
        for method in METHODS {
            let call = trial.spawn(method);
            until("the call is half-way", || trial.stage.now() == 1).await;
            assert_eq!(trial.db.in_use(), 1, "{method} is not over");
            let other = trial.call(method).await.expect_err("the unit is held");
            assert_eq!(other.code(), Code::Unavailable);
            trial.stage.let_off(1);
            assert_eq!(call.await.expect("no panic").expect("served"), TEXT);
            trial.is_free().await;
        }
    }
}

#[tokio::test]
async fn a_permit_is_released_at_the_head_of_a_stream_where_that_is_asked_for() {
    for place in AT_HEAD {
        let trial = Trial::start(place).await;
        for method in METHODS {
            let call = trial.spawn(method);
            until("the call is half-way", || trial.stage.now() == 1).await;
            let held = usize::from(!RESPONSE_STREAMS.contains(&method));
            assert_eq!(trial.db.in_use(), held, "{method}");
            trial.stage.let_off(1);
            assert_eq!(call.await.expect("no panic").expect("served"), TEXT);
            trial.is_free().await;
        }
    }
}

#[tokio::test]
async fn a_call_that_its_client_cancels_releases_its_permit() {
    for place in UNTIL_BODY_END.into_iter().chain(AT_HEAD) {
        let trial = Trial::start(place).await;
        for method in METHODS {
            let call = trial.spawn(method);
            until("the call is half-way", || trial.stage.now() == 1).await;
            call.abort();
            until("the handler is dropped", || trial.stage.now() == 0).await;
            trial.is_free().await;
        }
    }
}

#[tokio::test]
async fn a_queued_call_that_its_client_cancels_leaves_the_queue() {
    let trial = Trial::with(PER_SERVER, Limiter::builder()).await;
    let permit = trial.take();
    for method in METHODS {
        let call = trial.spawn(method);
        until("the call is queued", || trial.db.waiting() == 1).await;
        call.abort();
        until("the queue is empty", || trial.db.waiting() == 0).await;
    }
    drop(permit);
    assert_eq!(trial.stage.most(), 0, "none of them has run");
}

#[tokio::test]
async fn a_call_is_rejected_as_grpc_after_a_wait_too() {
    let timeout = Duration::from_millis(20);
    let trial = Trial::with(PER_SERVER, Limiter::builder().timeout(timeout)).await;
    let _permit = trial.take();
    for method in METHODS {
        let status = trial.call(method).await.expect_err("the unit is held");
        assert_eq!(status.code(), Code::Unavailable);
        let start = "timed out waiting for resource \"db\" after ";
        assert!(status.message().starts_with(start), "{status}");
    }
}

#[tokio::test]
async fn a_full_queue_and_a_closed_limiter_are_unavailable() {
    let trial = Trial::with(PER_SERVER, Limiter::builder().max_waiting(1)).await;
    let _permit = trial.take();
    let queued = trial.spawn(UNARY);
    until("the queue is full", || trial.db.waiting() == 1).await;
    let full = trial.call(CHAT).await.expect_err("no place in the queue");
    assert_eq!(full.code(), Code::Unavailable);
    assert_eq!(full.message(), "the queue is full for resource \"db\"");

    trial.limiter.close();
    let queued = queued.await.expect("no panic").expect_err("closed");
    assert_eq!(queued.code(), Code::Unavailable);
    let closed = trial.call(DOWNLOAD).await.expect_err("closed");
    assert_rejected(&closed, "the limiter is closed for resource \"db\"");
}

/// A service whose only resource is used up by one request in a minute.
async fn behind_a_rate(builder: LimiterBuilder) -> (Server, Channel) {
    let api = Resource::builder("api").rate(Rate::per_minute(1)).build();
    let limiter = builder.timeout(Duration::ZERO).resources([&api]).build();
    drop(limiter.try_acquire([&api]).expect("the first one"));
    let server = UNDER_AXUM(Echo(Stage::new()), limiter.resources([&api])).await;
    let channel = connect(server.address).await;
    (server, channel)
}

#[tokio::test]
async fn a_rate_is_resource_exhausted_and_pushes_back() {
    let plain = Limiter::builder as fn() -> LimiterBuilder;
    for builder in [plain, || Limiter::builder().reject_with_too_many_requests()] {
        let (_server, channel) = behind_a_rate(builder()).await;
        for method in METHODS {
            let status = call(channel.clone(), method).await;
            let status = status.expect_err("one in a minute");
            assert_eq!(status.code(), Code::ResourceExhausted);
            let pushback = status.metadata().get("grpc-retry-pushback-ms");
            let pushback = pushback.expect("the rate knows").to_str().expect("ASCII");
            let pushback: i32 = pushback.parse().expect("a number");
            assert!((50_000..=120_000).contains(&pushback), "{pushback} ms");
            assert!(!status.metadata().contains_key("retry-after"));
        }
    }
}

/// tonic has no retries of its own: the policy of a client reads the push-back.
#[tokio::test]
async fn a_client_may_retry_when_the_push_back_allows() {
    #[derive(Clone)]
    struct AsToldByTheServer;

    impl<Req: Clone, Res> tower::retry::Policy<Req, Res, Status> for AsToldByTheServer {
        type Future = tokio::time::Sleep;

        fn retry(&mut self, _: &mut Req, result: &mut Result<Res, Status>) -> Option<Self::Future> {
            let status = result.as_ref().err()?;
            let pushback = status.metadata().get("grpc-retry-pushback-ms")?;
            let millis = pushback.to_str().ok()?.parse().ok()?;
            Some(tokio::time::sleep(Duration::from_millis(millis)))
        }

        fn clone_request(&mut self, request: &Req) -> Option<Req> {
            Some(request.clone())
        }
    }

    let rate = Rate::new(1, Duration::from_millis(300));
    let api = Resource::builder("api").rate(rate).build();
    let limiter = Limiter::new(Duration::ZERO, [&api]);
    drop(limiter.try_acquire([&api]).expect("the first one"));
    let stage = Stage::new();
    stage.let_off(1);
    let server = UNDER_AXUM(Echo(stage), limiter.resources([&api])).await;
    let channel = connect(server.address).await;
    let calls = service_fn(|method| call(channel.clone(), method));
    let mut retrying = tower::retry::Retry::new(AsToldByTheServer, calls);
    let served = retrying.ready().await.expect("ready").call(UNARY).await;
    assert_eq!(served.expect("the second try is let in"), TEXT);
}

#[tokio::test]
async fn a_health_check_may_bypass_the_limit() {
    let place: Place = |echo, layer| {
        let layer = layer.bypass(|request| request.uri().path() == UNARY);
        Box::pin(serve(Routes::new(layer.named_layer(echo))))
    };
    let trial = Trial::start(place).await;
    let _permit = trial.take();
    trial.stage.let_off(1);
    assert_eq!(trial.call(UNARY).await.expect("it is let past"), TEXT);
    let other = trial.call(UPLOAD).await.expect_err("the unit is held");
    assert_eq!(other.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_call_whose_deadline_expires_in_the_queue_leaves_it_and_is_never_run() {
    for place in UNTIL_BODY_END {
        let trial = Trial::with(place, Limiter::builder()).await;
        let permit = trial.take();
        for method in METHODS {
            let mut request = tonic::Request::new(());
            request.set_timeout(Duration::from_millis(20));
            let status = call_by(trial.channel.clone(), request, method).await;
            let status = status.expect_err("the unit is held");
            let expired = [Code::Cancelled, Code::DeadlineExceeded];
            assert!(expired.contains(&status.code()), "{status}");
            until("the queue is empty", || trial.db.waiting() == 0).await;
        }
        drop(permit);
        assert_eq!(trial.stage.most(), 0, "none of them has run");
    }
}

#[tokio::test]
async fn the_deadline_of_a_call_may_bound_its_wait() {
    let place: Place = |echo, layer| {
        let layer = layer.fail_fast_deadline(|request| request.grpc_timeout());
        UNDER_AXUM(echo, layer)
    };
    let trial = Trial::with(place, Limiter::builder()).await;
    let _permit = trial.take();
    let request = Request::post(format!("http://localhost{UNARY}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header("grpc-timeout", "20m")
        .body(Empty::new())
        .expect("a request");
    let mut client = connect_http2(trial.server.address).await;
    let response = client.send_request(request).await.expect("a response");
    assert_eq!(response.headers()["grpc-status"], "14");
    let message = response.headers()["grpc-message"].to_str().expect("ASCII");
    let start = "timed out waiting for resource \"db\" after ";
    assert!(message.starts_with(start), "{message}");
}

/// A request with this method and content type, to be sent by HTTP/1 or with the whole URI.
fn request(method: Method, uri: &str, content_type: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "localhost")
        .header(CONTENT_TYPE, content_type)
        .body(Empty::new())
        .expect("a request")
}

#[tokio::test]
async fn the_rejection_is_one_head_without_a_body() {
    let trial = Trial::start(PER_SERVER).await;
    let _permit = trial.take();
    let mut client = connect_http2(trial.server.address).await;
    let uri = format!("http://localhost{UNARY}");
    let request = Request::post(uri)
        .header(CONTENT_TYPE, "application/grpc")
        .body(Empty::new())
        .expect("a request");
    let response = client.send_request(request).await.expect("a response");
    assert!(response.body().is_end_stream(), "the head ends the stream");
    assert_eq!(response.status(), StatusCode::OK);
    let mut headers = response.headers().clone();
    headers.remove("date");
    let mut headers: Vec<_> = headers.iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")));
    let expected = [
        ("content-type", "application/grpc"),
        ("grpc-message", "resource \"db\" is not available now"),
        ("grpc-status", "14"),
    ];
    assert_eq!(headers.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_content_type_decides_whatever_the_method_and_the_version() {
    let trial = Trial::start(UNDER_AXUM).await;
    let _permit = trial.take();
    for (content_type, expected) in [
        ("application/grpc", Some("application/grpc")),
        ("application/grpc+proto", Some("application/grpc+proto")),
        ("application/grpc+json", Some("application/grpc+json")),
        ("Application/gRPC; charset=utf-8", Some("application/grpc")),
        ("application/grpc-web", Some("application/grpc-web")),
        (
            "application/grpc-web-text+proto",
            Some("application/grpc-web-text+proto"),
        ),
        ("application/json", None),
        ("text/plain; like=application/grpc", None),
    ] {
        for method in [Method::POST, Method::GET, Method::HEAD] {
            if method == Method::HEAD && expected.is_none() {
                continue; // axum does not remove the body below `route_service`
            }
            let mut http1 = connect_http1(trial.server.address).await;
            let short = request(method.clone(), UNARY, content_type);
            let by_http1 = http1.send_request(short).await.expect("a response");
            let mut http2 = connect_http2(trial.server.address).await;
            let uri = format!("http://localhost{UNARY}");
            let long = request(method.clone(), &uri, content_type);
            let by_http2 = http2.send_request(long).await.expect("a response");
            for response in [by_http1, by_http2] {
                let response = collect(response).await;
                let headers = response.headers();
                let Some(expected) = expected else {
                    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                    assert_eq!(headers[CONTENT_TYPE], "application/json");
                    assert_eq!(response.body(), BUSY);
                    continue;
                };
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(headers[CONTENT_TYPE], expected);
                assert_eq!(headers["grpc-status"], "14");
                assert!(response.body().is_empty());
            }
        }
    }
}

/// The layer outside of the translation sees gRPC-Web, the one inside of it gRPC.
#[tokio::test]
async fn grpc_web_clients_get_the_status_on_either_side_of_the_translation() {
    let outside: Place = |echo, layer| {
        let routes = Routes::new(echo).into_axum_router();
        Box::pin(Server::axum(routes.layer(GrpcWebLayer::new()).layer(layer)))
    };
    let inside: Place = |echo, layer| {
        let routes = Routes::new(echo).into_axum_router();
        Box::pin(Server::axum(routes.layer(layer).layer(GrpcWebLayer::new())))
    };
    for place in [outside, inside] {
        let trial = Trial::start(place).await;
        let permit = trial.take();
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        let web = GrpcWebClientLayer::new().layer(http);
        let address = trial.server.address;
        let web = tower::util::MapRequest::new(web, move |mut request: Request<Body>| {
            let uri = format!("http://{address}{}", request.uri().path());
            *request.uri_mut() = uri.parse().expect("a URI");
            request
        });
        for method in [UNARY, DOWNLOAD] {
            let status = call_by(web.clone(), tonic::Request::new(()), method).await;
            let status = status.expect_err("the unit is held");
            assert_rejected(&status, "resource \"db\" is not available now");
        }
        drop(permit);
        trial.stage.let_off(1);
        let served = call_by(web, tonic::Request::new(()), UNARY).await;
        assert_eq!(served.expect("the unit is free"), TEXT);
    }
}

/// A server that serves REST and gRPC on one port, below one layer.
fn multiplexed(layer: ConcurrencyLimitLayer) -> Router {
    let routes = Routes::new(Echo(Stage::new())).into_axum_router();
    let rest = Router::new().route("/rest", get(|| async { "rest" }));
    rest.merge(routes.reset_fallback()).layer(layer)
}

#[tokio::test]
async fn rest_and_grpc_requests_are_each_rejected_in_their_own_protocol() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let _permit = limiter.try_acquire([&db]).expect("it is free");
    let server = Server::axum(multiplexed(limiter.resources([&db]))).await;

    let status = call(connect(server.address).await, CHAT).await;
    let status = status.expect_err("the unit is held");
    assert_rejected(&status, "resource \"db\" is not available now");

    let mut http1 = connect_http1(server.address).await;
    let rest = http1.send_request(test_support::http::get("/rest")).await;
    let rest = collect(rest.expect("a response")).await;
    assert_eq!(rest.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rest.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(rest.body(), BUSY);
}

/// The response of a layer to a gRPC request, without a server.
async fn rejected<L, S, B>(layer: L) -> Response<Bytes>
where
    L: Layer<tower::util::ServiceFn<Never>, Service = S>,
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = std::convert::Infallible>,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let never: Never = |_| unreachable!("a rejected request does not reach the service");
    let request = request(Method::POST, UNARY, "application/grpc");
    let response = layer.layer(service_fn(never)).oneshot(request).await;
    collect(response.expect("infallible")).await
}

type Never = fn(
    Request<Empty<Bytes>>,
) -> std::future::Ready<Result<Response<Full<Bytes>>, std::convert::Infallible>>;

fn busy(builder: LimiterBuilder, name: &str) -> (ConcurrencyLimitLayer, Permit) {
    let resource = Resource::new(name, 1);
    let builder = builder.timeout(Duration::ZERO);
    let limiter = builder.resources([&resource]).build();
    let permit = limiter.try_acquire([&resource]).expect("it is free");
    (limiter.resources([&resource]), permit)
}

fn assert_grpc(response: &Response<Bytes>) {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
    assert!(response.body().is_empty());
    let rejection = response.extensions().get::<Rejection>();
    let rejection = rejection.expect("the rejection is in the extensions");
    assert_eq!(rejection.reason(), Reason::NotNow);
    let again = rejection.response();
    assert_eq!(again.headers()["grpc-status"], "14", "the same response");
}

#[tokio::test]
async fn the_rejection_is_in_the_extensions() {
    let (layer, _permit) = busy(Limiter::builder(), "db");
    assert_grpc(&rejected(layer.clone()).await);
    assert_grpc(&rejected(layer.clone().release_at_head()).await);
    assert_grpc(&rejected(layer.clone().reject_with(GrpcStatus)).await);
    let at_head = layer.release_at_head().reject_with(GrpcStatus);
    assert_grpc(&rejected(at_head).await);
}

#[tokio::test]
async fn problem_details_leave_grpc_requests_what_they_need() {
    let (layer, _permit) = busy(Limiter::builder(), "db");
    assert_grpc(&rejected(layer.reject_with(ProblemDetails)).await);
    let limiter = Limiter::builder().on_reject(|rejection| rejection.problem_response());
    let (layer, _permit) = busy(limiter, "db");
    assert_grpc(&rejected(layer.clone()).await);
    assert_grpc(&rejected(layer.release_at_head()).await);
}

#[tokio::test]
async fn a_response_of_ones_own_wins_over_the_grpc_one() {
    let own = |_: Rejection| Response::new("own");
    let (layer, _permit) = busy(Limiter::builder().on_reject(own), "db");
    assert_eq!(rejected(layer.clone()).await.body(), "own");
    assert_eq!(rejected(layer.release_at_head()).await.body(), "own");
    let (layer, _permit) = busy(Limiter::builder(), "db");
    let layer = layer.on_reject(|_: Rejection| Response::new("own"));
    assert_eq!(rejected(layer.clone()).await.body(), "own");
    assert_eq!(rejected(layer.release_at_head()).await.body(), "own");
}

#[tokio::test]
async fn a_response_of_ones_own_may_build_on_the_grpc_one() {
    let later = |rejection: Rejection| {
        let rejection = rejection.with_retry_after(Duration::from_millis(7_500));
        rejection.response()
    };
    let limiter = Limiter::builder().on_reject(later);
    let (layer, _permit) = busy(limiter, "db");
    let by_limiter = rejected(layer).await;
    let (layer, _permit) = busy(Limiter::builder(), "db");
    let by_layer = rejected(layer.on_reject(later)).await;
    for response in [by_limiter, by_layer] {
        assert_grpc(&response);
        assert_eq!(response.headers()["grpc-retry-pushback-ms"], "7500");
    }
}

#[tokio::test]
async fn any_resource_name_arrives_at_the_client_as_it_is() {
    let name = "größe 100%\r\n\"日本\"\u{0}";
    let (layer, _permit) = busy(Limiter::builder(), name);
    let server = UNDER_AXUM(Echo(Stage::new()), layer).await;
    let status = call(connect(server.address).await, UNARY).await;
    let status = status.expect_err("the unit is held");
    assert_eq!(status.code(), Code::Unavailable);
    let expected = format!("resource \"{name}\" is not available now");
    assert_eq!(status.message(), expected);
}

#[tokio::test]
async fn a_rejection_becomes_a_status_in_a_handler() {
    let db = Resource::new("db", 1);
    let limiter = Limiter::new(Duration::ZERO, [&db]);
    let _permit = limiter.try_acquire([&db]).expect("it is free");
    let rejection = limiter.acquire([&db]).await.expect_err("held");
    let rejection = rejection.with_retry_after(Duration::from_secs(2));
    let status = Status::from_header_map(rejection.grpc_response().headers());
    let status = status.expect("a status");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), rejection.to_string());

    let response: Response<Body> = status.into_http();
    let headers = response.headers();
    assert_eq!(headers["grpc-retry-pushback-ms"], "2000");
    assert_eq!(headers[CONTENT_TYPE], "application/grpc");
}
