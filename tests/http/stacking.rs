//! The layers of tower, tower-http, axum and of other crates stand outside of the limit and inside
//! of it, in each form that a stack is written in.
//!
//! Each test makes a router of each stack, and asks it three times: while the resource is free,
//! where the response has its permit until its body ends; while it is busy, and once more when that
//! is over.

use std::{
    convert::Infallible,
    future::Ready,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    BoxError, Extension, Router,
    body::Body,
    error_handling::HandleErrorLayer,
    extract::{ConnectInfo, DefaultBodyLimit},
    handler::Handler,
    middleware::{self, Next, ResponseAxumBodyLayer},
    response::IntoResponse,
    routing::{get, get_service},
};
use http::{
    HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use tower::{
    ServiceBuilder, ServiceExt,
    buffer::BufferLayer,
    filter::{AsyncFilterLayer, FilterLayer},
    layer::{layer_fn, util::Identity},
    limit::{
        ConcurrencyLimitLayer as TowerConcurrencyLimitLayer, GlobalConcurrencyLimitLayer,
        RateLimitLayer,
    },
    load_shed::LoadShedLayer,
    retry::{Policy, RetryLayer},
    spawn_ready::SpawnReadyLayer,
    timeout::TimeoutLayer as TowerTimeoutLayer,
    util::{
        AndThenLayer, BoxCloneSyncServiceLayer, MapErrLayer, MapFutureLayer, MapRequestLayer,
        MapResponseLayer, MapResultLayer, ThenLayer, option_layer,
    },
};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Rejection, Resource, middleware::ResponseBody,
};
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};
use tower_http::{
    add_extension::AddExtensionLayer,
    auth::{AddAuthorizationLayer, AsyncRequireAuthorizationLayer},
    catch_panic::CatchPanicLayer,
    classify::ServerErrorsFailureClass,
    compression::CompressionLayer,
    cors::CorsLayer,
    decompression::{DecompressionLayer, RequestDecompressionLayer},
    follow_redirect::FollowRedirectLayer,
    limit::RequestBodyLimitLayer,
    map_request_body::MapRequestBodyLayer,
    map_response_body::MapResponseBodyLayer,
    metrics::InFlightRequestsLayer,
    normalize_path::NormalizePathLayer,
    on_early_drop::{EarlyDropsAsFailures, OnEarlyDropLayer},
    propagate_header::PropagateHeaderLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::{
        SetSensitiveHeadersLayer, SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer,
    },
    services::ServeDir,
    set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer},
    set_status::SetStatusLayer,
    timeout::{RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer, TimeoutLayer},
    trace::{DefaultOnFailure, OnFailure, TraceLayer},
    validate_request::ValidateRequestHeaderLayer,
};
use tower_sessions::{MemoryStore, SessionManagerLayer};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    layer::{Context, Layer as SubscriberLayer},
    prelude::*,
};

use test_support::http::collect;

const MINUTE: Duration = Duration::from_secs(60);

struct Trial {
    db: Resource,
    limiter: Limiter,
}

impl Trial {
    fn new() -> Self {
        let db = Resource::new("db", 1);
        let limiter = Limiter::new(Duration::ZERO, [&db]);
        Self { db, limiter }
    }

    fn limit(&self) -> ConcurrencyLimitLayer {
        self.limiter.resources([&self.db])
    }

    async fn holds(&self, stack: &str, app: Router) {
        self.answers(stack, StatusCode::SERVICE_UNAVAILABLE, app)
            .await;
    }

    /// The limit holds, and what comes out at last of a refusal has this status.
    async fn answers(&self, stack: &str, refused: StatusCode, app: Router) {
        for turn in ["first", "second"] {
            let response = ask(&app).await;
            assert_eq!(response.status(), StatusCode::OK, "{stack}, {turn}");
            assert_eq!(self.db.in_use(), 1, "{stack}: until the body ends");
            assert_eq!(collect(response).await.body(), "rows", "{stack}");
            assert_eq!(self.db.in_use(), 0, "{stack}: returned after the body");

            let busy = self.limiter.try_acquire([&self.db]).expect("free again");
            let response = collect(ask(&app).await).await;
            assert_eq!(response.status(), refused, "{stack}");
            let body = String::from_utf8_lossy(response.body());
            assert!(body.contains("Server busy"), "{stack}: {body}");
            drop(busy);
        }
    }
}

async fn ask(app: &Router) -> Response<Body> {
    let request = Request::get("/")
        .header(AUTHORIZATION, "Bearer token")
        .header(ACCEPT, "application/json")
        .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
        .body(Body::empty())
        .expect("a request");
    app.clone().oneshot(request).await.expect("infallible")
}

async fn rows() -> &'static str {
    "rows"
}

fn app() -> Router {
    Router::new().route("/", get(rows))
}

/// The layer, written anew for each stack because its type may depend on the place.
macro_rules! stacks {
    ($($(#[$attribute:meta])* $name:ident: $layer:expr;)*) => {$(
        $(#[$attribute])*
        #[tokio::test]
        async fn $name() {
            let trial = Trial::new();
            let limit = || trial.limit();
            let outside = app().layer(ServiceBuilder::new().layer($layer).layer(limit()));
            trial.holds("outside, in a ServiceBuilder", outside).await;
            let inside = app().layer(ServiceBuilder::new().layer(limit()).layer($layer));
            trial.holds("inside, in a ServiceBuilder", inside).await;
            trial.holds("outside, in a tuple", app().layer(($layer, limit()))).await;
            trial.holds("inside, in a tuple", app().layer((limit(), $layer))).await;
            let outside = app().layer(limit()).layer($layer);
            trial.holds("outside, by Router::layer", outside).await;
            let inside = app().layer($layer).layer(limit());
            trial.holds("inside, by Router::layer", inside).await;
            let routes = app().route_layer(ServiceBuilder::new().layer($layer).layer(limit()));
            trial.holds("outside, by Router::route_layer", routes).await;
        }
    )*};
}

/// The same for layers whose errors are handled outside of everything.
macro_rules! failing_stacks {
    ($($(#[$attribute:meta])* $name:ident: $layer:expr;)*) => {$(
        $(#[$attribute])*
        #[tokio::test]
        async fn $name() {
            let trial = Trial::new();
            let limit = || trial.limit();
            let stack = || ServiceBuilder::new().layer(HandleErrorLayer::new(failed));
            let outside = app().layer(stack().layer($layer).layer(limit()));
            trial.holds("outside, in a ServiceBuilder", outside).await;
            let inside = app().layer(stack().layer(limit()).layer($layer));
            trial.holds("inside, in a ServiceBuilder", inside).await;
            let outside = app().layer((HandleErrorLayer::new(failed), $layer, limit()));
            trial.holds("outside, in a tuple", outside).await;
            let outside = app().layer(limit()).layer(stack().layer($layer));
            trial.holds("outside, by Router::layer", outside).await;
            let routes = app().route_layer(stack().layer($layer).layer(limit()).layer($layer));
            trial.holds("on both sides, by Router::route_layer", routes).await;
            let method = get(rows).route_layer(stack().layer($layer).layer(limit()));
            trial.holds("outside, by MethodRouter::route_layer", Router::new().route("/", method)).await;
        }
    )*};
}

async fn failed(error: BoxError) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

mod tower_http_layers {
    use super::*;

    stacks! {
        add_authorization: AddAuthorizationLayer::bearer("token");
        add_extension: AddExtensionLayer::new(7_u32);
        async_require_authorization: AsyncRequireAuthorizationLayer::new(authorize);
        catch_panic: CatchPanicLayer::new();
        compression: CompressionLayer::new();
        cors: CorsLayer::permissive();
        decompression: DecompressionLayer::new();
        follow_redirect: FollowRedirectLayer::new();
        in_flight_requests: InFlightRequestsLayer::pair().0;
        map_request_body: MapRequestBodyLayer::new(Body::new);
        map_response_body: MapResponseBodyLayer::new(Body::new);
        normalize_path: NormalizePathLayer::trim_trailing_slash();
        on_early_drop: OnEarlyDropLayer::new(EarlyDropsAsFailures::new(DefaultOnFailure::new()));
        propagate_header: PropagateHeaderLayer::new(REQUEST_ID);
        propagate_request_id: PropagateRequestIdLayer::x_request_id();
        request_body_limit: RequestBodyLimitLayer::new(1_000);
        request_body_timeout: RequestBodyTimeoutLayer::new(MINUTE);
        request_decompression: RequestDecompressionLayer::new();
        response_body_timeout: ResponseBodyTimeoutLayer::new(MINUTE);
        sensitive_headers: SetSensitiveHeadersLayer::new([AUTHORIZATION]);
        sensitive_request_headers: SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]);
        sensitive_response_headers: SetSensitiveResponseHeadersLayer::new([AUTHORIZATION]);
        set_request_header: SetRequestHeaderLayer::overriding(REQUEST_ID, VALUE);
        set_request_id: SetRequestIdLayer::x_request_id(MakeRequestUuid);
        set_response_header: SetResponseHeaderLayer::if_not_present(CONTENT_TYPE, VALUE);
        timeout: TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, MINUTE);
        trace_for_http: TraceLayer::new_for_http();
        trace_for_grpc: TraceLayer::new_for_grpc();
        #[allow(deprecated, reason = "it is in use")]
        validate_bearer: ValidateRequestHeaderLayer::bearer("token");
        validate_accept: ValidateRequestHeaderLayer::accept("application/json");
    }

    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    const VALUE: HeaderValue = HeaderValue::from_static("7");

    /// Works at any place, because it makes the body of whatever type is asked for.
    async fn authorize<B, R: Default>(request: Request<B>) -> Result<Request<B>, Response<R>> {
        match request.headers().contains_key(AUTHORIZATION) {
            true => Ok(request),
            false => {
                let mut response = Response::new(R::default());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                Err(response)
            }
        }
    }
}

mod tower_layers {
    use super::*;

    stacks! {
        and_then: AndThenLayer::new(async |response| Ok::<_, Infallible>(response));
        boxed: BoxCloneSyncServiceLayer::new(Identity::new());
        concurrency_limit: TowerConcurrencyLimitLayer::new(5);
        global_concurrency_limit: GlobalConcurrencyLimitLayer::new(5);
        identity: Identity::new();
        layer_by_a_closure: layer_fn(|inner| inner);
        map_future: MapFutureLayer::new(|future| future);
        map_request: MapRequestLayer::new(|request: Request<Body>| request);
        map_response: MapResponseLayer::new(|response| response);
        map_result: MapResultLayer::new(|result| result);
        retry: RetryLayer::new(Never);
        then: ThenLayer::new(async |result| result);
    }

    failing_stacks! {
        async_filter: AsyncFilterLayer::new(async |request: Request<Body>| Ok::<_, BoxError>(request));
        buffer: BufferLayer::new(16);
        filter: FilterLayer::new(|request: Request<Body>| Ok::<_, BoxError>(request));
        load_shed: LoadShedLayer::new();
        map_err: MapErrLayer::new(BoxError::from);
        timeout: TowerTimeoutLayer::new(MINUTE);
    }

    /// A policy that retries nothing.
    #[derive(Clone)]
    struct Never;

    impl<Req, Res, E> Policy<Req, Res, E> for Never {
        type Future = Ready<()>;

        fn retry(&mut self, _: &mut Req, _: &mut Result<Res, E>) -> Option<Ready<()>> {
            None
        }

        fn clone_request(&mut self, _: &Req) -> Option<Req> {
            None
        }
    }

    /// `RateLimit` and `SpawnReady` cannot be cloned. A buffer of them can.
    #[tokio::test]
    async fn rate_limit_and_spawn_ready() {
        let trial = Trial::new();
        macro_rules! buffered {
            () => {
                ServiceBuilder::new()
                    .layer(HandleErrorLayer::new(failed))
                    .layer(BufferLayer::new(16))
                    .layer(SpawnReadyLayer::new())
                    .layer(RateLimitLayer::new(1_000, MINUTE))
            };
        }
        let outside = app().layer(buffered!().layer(trial.limit()));
        trial.holds("outside", outside).await;
        let inside = app().layer(
            ServiceBuilder::new()
                .layer(trial.limit())
                .layer(buffered!()),
        );
        trial.holds("inside", inside).await;
    }

    /// It needs one type of response with the inner layer and without it.
    #[tokio::test]
    async fn an_option_of_the_limit() {
        let trial = Trial::new();
        let limit = Some(trial.limit().release_at_head());
        let stack = ServiceBuilder::new()
            .layer(CorsLayer::permissive())
            .layer(option_layer(limit));
        let response = collect(ask(&app().layer(stack.clone())).await).await;
        assert_eq!(response.body(), "rows");
        let _busy = trial.limiter.try_acquire([&trial.db]).expect("idle");
        let response = ask(&app().layer(stack)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

mod axum_layers {
    use super::*;

    stacks! {
        default_body_limit: DefaultBodyLimit::max(1_000);
        extension: Extension(7_u32);
        from_extractor: middleware::from_extractor::<http::Method>();
        from_fn: middleware::from_fn(pass);
        handle_error: HandleErrorLayer::new(never);
        map_request: middleware::map_request(async |request: Request<Body>| request);
        map_response_of_any_body: middleware::map_response(same);
        response_axum_body: ResponseAxumBodyLayer;
    }

    async fn pass(request: Request<Body>, next: Next) -> impl IntoResponse {
        next.run(request).await
    }

    async fn same<B>(response: Response<B>) -> Response<B> {
        response
    }

    async fn never(never: Infallible) {
        match never {}
    }
}

mod layers_of_other_crates {
    use super::*;

    stacks! {
        cookies_and_sessions: SessionManagerLayer::new(MemoryStore::default());
    }
}

/// Layers that know axum's body alone. The limit below them has to give them that.
mod layers_of_one_body {
    use super::*;

    macro_rules! stacks {
        ($($name:ident: $layer:expr;)*) => {$(
            #[tokio::test]
            async fn $name() {
                let trial = Trial::new();
                let limit = || trial.limit();
                let outside = ServiceBuilder::new()
                    .layer($layer)
                    .layer(ResponseAxumBodyLayer)
                    .layer(limit());
                trial.holds("outside, in a ServiceBuilder", app().layer(outside)).await;
                let outside = app().layer(($layer, ResponseAxumBodyLayer, limit()));
                trial.holds("outside, in a tuple", outside).await;
                let outside = app().layer(limit()).layer($layer);
                trial.holds("outside, by Router::layer", outside).await;
                let inside = app().layer(ServiceBuilder::new().layer(limit()).layer($layer));
                trial.holds("inside, in a ServiceBuilder", inside).await;
                let method = get(rows).route_layer(limit()).route_layer($layer);
                trial.holds("by MethodRouter::route_layer", Router::new().route("/", method)).await;
                // Released at the head, the limit leaves the body as it is.
                let at_head = app().layer(($layer, limit().release_at_head()));
                assert_eq!(collect(ask(&at_head).await).await.body(), "rows");
            }
        )*};
    }

    stacks! {
        an_authorizer: AsyncRequireAuthorizationLayer::new(authorize);
        axum_map_response: middleware::map_response(async |response: Response<Body>| response);
        governor: GovernorLayer::new(GovernorConfigBuilder::default().burst_size(99).finish().unwrap());
        optional: axum_extra::middleware::option_layer(Some(CorsLayer::permissive()));
        tower_map_response: MapResponseLayer::new(|response: Response<Body>| response);
    }

    async fn authorize(request: Request<Body>) -> Result<Request<Body>, Response<Body>> {
        match request.headers().contains_key(AUTHORIZATION) {
            true => Ok(request),
            false => Err(StatusCode::UNAUTHORIZED.into_response()),
        }
    }
}

/// The same, made for a limited service: any body of the inner type will do.
#[tokio::test]
async fn an_authorizer_that_answers_with_a_limited_body() {
    type Answer = Response<ResponseBody<Body>>;
    async fn authorize(request: Request<Body>) -> Result<Request<Body>, Answer> {
        match request.headers().contains_key("x-key") {
            true => Ok(request),
            false => Err(StatusCode::UNAUTHORIZED
                .into_response()
                .map(ResponseBody::new)),
        }
    }
    let trial = Trial::new();
    let app = app().layer(
        ServiceBuilder::new()
            .layer(AsyncRequireAuthorizationLayer::new(authorize))
            .layer(trial.limit()),
    );
    assert_eq!(ask(&app).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(trial.db.in_use(), 0);
}

/// What a layer outside answers itself holds nothing and is whole.
#[tokio::test]
async fn an_outer_layer_answers_by_itself() {
    let trial = Trial::new();
    let app = app().layer(
        ServiceBuilder::new()
            .layer(CorsLayer::permissive())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                Duration::ZERO,
            ))
            .layer(trial.limit()),
    );
    let preflight = Request::options("/")
        .header("origin", "http://localhost")
        .header("access-control-request-method", "GET")
        .body(Body::empty())
        .expect("a request");
    let response = app.clone().oneshot(preflight).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    assert!(collect(response).await.body().is_empty());
    let empty = ResponseBody::<Body>::default();
    assert!(http_body::Body::is_end_stream(&empty));
    assert_eq!(http_body::Body::size_hint(&empty).exact(), Some(0));
    assert_eq!(trial.db.in_use(), 0);
}

/// Bodies of text and bytes are made without the inner service's body.
#[tokio::test]
async fn a_limited_body_is_made_from_bytes() {
    for body in [
        ResponseBody::<Body>::from("busy"),
        ResponseBody::from("busy".to_owned()),
        ResponseBody::from(b"busy".to_vec()),
        ResponseBody::from(&b"busy"[..]),
        ResponseBody::from(bytes::Bytes::from("busy")),
        ResponseBody::new(Body::from("busy")),
    ] {
        assert_eq!(collect(Response::new(body)).await.body(), "busy");
    }
}

#[tokio::test]
async fn a_status_that_is_set_outside_hides_the_refusal() {
    let trial = Trial::new();
    let outside = ServiceBuilder::new()
        .layer(SetStatusLayer::new(StatusCode::OK))
        .layer(trial.limit());
    trial
        .answers("outside", StatusCode::OK, app().layer(outside))
        .await;
    let inside = ServiceBuilder::new()
        .layer(trial.limit())
        .layer(SetStatusLayer::new(StatusCode::OK));
    trial.holds("inside", app().layer(inside)).await;
}

/// Files, streamed from the disk by a service without a handler.
#[tokio::test]
async fn around_a_directory() {
    let trial = Trial::new();
    let files = ServiceBuilder::new()
        .layer(CorsLayer::permissive())
        .layer(trial.limit())
        .service(ServeDir::new(env!("CARGO_MANIFEST_DIR")));
    let app = Router::new().route("/{file}", get_service(files));
    let manifest = || {
        Request::get("/Cargo.toml")
            .body(Body::empty())
            .expect("a request")
    };
    let response = app.clone().oneshot(manifest()).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(trial.db.in_use(), 1, "the file is being sent");
    let file = collect(response).await;
    assert!(file.body().starts_with(b"[workspace]"));
    assert_eq!(trial.db.in_use(), 0);
    let _busy = trial.limiter.try_acquire([&trial.db]).expect("idle");
    let response = app.oneshot(manifest()).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn around_a_method_router_and_a_handler() {
    let trial = Trial::new();
    let stack = || {
        ServiceBuilder::new()
            .layer(CorsLayer::permissive())
            .layer(trial.limit())
            .layer(CompressionLayer::new())
    };
    let on_route = |methods| Router::new().route("/", methods);
    let layer = on_route(get(rows).layer(stack()));
    trial.holds("MethodRouter::layer", layer).await;
    let route_layer = on_route(get(rows).route_layer(stack()));
    trial.holds("MethodRouter::route_layer", route_layer).await;
    let handler = on_route(get(rows.layer(stack())));
    trial.holds("Handler::layer", handler).await;
}

/// A limit around a limit: each holds until the body has ended.
#[tokio::test]
async fn two_limits_in_one_stack() {
    let trial = Trial::new();
    let fs = Resource::new("fs", 1);
    let other = Limiter::new(Duration::ZERO, [&fs]);
    let stack = || {
        ServiceBuilder::new()
            .layer(other.resources([&fs]))
            .layer(trial.limit())
    };
    trial
        .holds("both until the end", app().layer(stack()))
        .await;
    let outer_at_head = ServiceBuilder::new()
        .layer(other.resources([&fs]).release_at_head())
        .layer(trial.limit());
    trial
        .holds("the outer at the head", app().layer(outer_at_head))
        .await;
    assert_eq!(fs.in_use(), 0);
    let _busy = other.try_acquire([&fs]).expect("idle");
    let response = ask(&app().layer(stack())).await;
    assert_eq!(
        response.extensions().get().map(Rejection::resource),
        Some("fs")
    );
}

/// What a long stack does to the type of the body is of no concern to the layers around it.
#[tokio::test]
async fn a_stack_as_services_have_it() {
    let trial = Trial::new();
    let stack = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(SessionManagerLayer::new(MemoryStore::default()))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            MINUTE,
        ))
        .layer(trial.limit())
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(1_000))
        .layer(CatchPanicLayer::new())
        .layer(PropagateRequestIdLayer::x_request_id());
    trial.holds("all of it", app().layer(stack)).await;
}

/// What tower-http's trace layer reports as failures, in the order of the requests.
async fn failures<C>(trace: C) -> Vec<String>
where
    C: tower::Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
    C::Service: tower::Service<Request<Body>, Response: IntoResponse, Error: Into<Infallible>>
        + Clone
        + Send
        + Sync
        + 'static,
    <C::Service as tower::Service<Request<Body>>>::Future: Send,
{
    let trial = Trial::new();
    let broken = get(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    let app = app()
        .layer(trial.limit())
        .route("/broken", broken)
        .layer(trace);
    let (events, _guard) = errors();
    let _busy = trial.limiter.try_acquire([&trial.db]).expect("idle");
    assert_eq!(ask(&app).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let request = Request::get("/broken")
        .body(Body::empty())
        .expect("a request");
    app.oneshot(request).await.expect("infallible");
    let events = events.lock().expect("no panics");
    events.clone()
}

/// Remembers the classification of failed responses.
fn errors() -> (Arc<Mutex<Vec<String>>>, DefaultGuard) {
    #[derive(Clone, Default)]
    struct Errors(Arc<Mutex<Vec<String>>>);

    impl Visit for Errors {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "classification" {
                self.0.lock().expect("no panics").push(format!("{value:?}"));
            }
        }
    }

    impl<S: Subscriber> SubscriberLayer<S> for Errors {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if *event.metadata().level() == tracing::Level::ERROR {
                event.record(&mut self.clone());
            }
        }
    }

    let errors = Errors::default();
    let guard =
        test_support::events::subscribe(tracing_subscriber::registry().with(errors.clone()));
    (errors.0, guard)
}

#[tokio::test]
async fn trace_layer_logs_a_refusal_as_an_error_unless_it_is_left_out() {
    let refusal = "Status code: 503 Service Unavailable".to_owned();
    let failure = "Status code: 500 Internal Server Error".to_owned();
    let by_default = failures(TraceLayer::new_for_http()).await;
    assert_eq!(by_default, [refusal, failure.clone()]);

    let quiet = TraceLayer::new_for_http().on_failure(
        |class: ServerErrorsFailureClass, latency, span: &tracing::Span| {
            let refused = StatusCode::SERVICE_UNAVAILABLE;
            if !matches!(class, ServerErrorsFailureClass::StatusCode(status) if status == refused) {
                DefaultOnFailure::new().on_failure(class, latency, span);
            }
        },
    );
    assert_eq!(failures(quiet).await, [failure]);
}
