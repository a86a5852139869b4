//! The limit holds across connections, wherever the layer stands.
//!
//! Each test serves an app with limit 1 and a queue of 60 on a real port, and sends 50 HTTP/1
//! requests on 50 connections and 50 streams on one HTTP/2 connection at once. One runs, 60 wait,
//! 39 are turned away; then the handlers are let off and everybody who waited is served, one at a
//! time.

use std::{convert::Infallible, time::Duration};

use axum::{
    BoxError, Router,
    body::Body,
    error_handling::HandleErrorLayer,
    extract::State,
    handler::Handler,
    middleware::ResponseAxumBodyLayer,
    routing::{MethodRouter, any, get, get_service},
};
use http::{Request, Response};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tower::{Layer, ServiceBuilder, service_fn};
use tower_concurrency_limiter::{
    ConcurrencyLimitLayer, Limiter, Rejection, Resource, middleware::LimitError,
};

use test_support::http::{EACH, Server, Stage, Storm, Tally, until};

const QUEUE: usize = 60;

/// The handler of every app here.
async fn play(State(stage): State<Stage>) -> &'static str {
    stage.play().await;
    "played"
}

struct Trial {
    db: Resource,
    limiter: Limiter,
    stage: Stage,
}

impl Trial {
    fn new() -> Self {
        let db = Resource::new("db", 1);
        let limiter = Limiter::builder()
            .timeout(Duration::from_secs(60))
            .max_waiting(QUEUE)
            .resources([&db])
            .build();
        let stage = Stage::new();
        Self { db, limiter, stage }
    }

    fn layer(&self) -> ConcurrencyLimitLayer {
        self.limiter.resources([&self.db])
    }

    async fn holds(&self, app: Router<Stage>, paths: &'static [&'static str]) {
        let server = Server::axum(app.with_state(self.stage.clone())).await;
        self.holds_on(&server, paths).await;
    }

    async fn holds_on(&self, server: &Server, paths: &'static [&'static str]) {
        let Self { db, stage, .. } = self;
        let refused = 2 * EACH - QUEUE - 1;
        let storm = Storm::begin(server.address, paths).await;
        until(
            "one runs, the queue is full, the rest is turned away",
            || stage.now() == 1 && db.waiting() == QUEUE && storm.answered() == refused,
        )
        .await;
        assert_eq!(db.in_use(), 1, "those who wait hold nothing");

        stage.let_off(1 + QUEUE);
        let served = 1 + QUEUE;
        assert_eq!(
            storm.end().await,
            Tally { served, refused },
            "everybody who waited is served"
        );
        assert_eq!(stage.most(), 1, "never more than one handler at once");
        until("everything is returned", || db.in_use() == 0).await;
        assert_eq!(db.waiting(), 0, "nobody is left behind");
    }
}

/// The other tests would fail without a limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limit_all_run_at_once() {
    let stage = Stage::new();
    let app = Router::new().route("/", get(play));
    let server = Server::axum(app.with_state(stage.clone())).await;
    let storm = Storm::begin(server.address, &["/"]).await;
    until("all run", || stage.now() == 2 * EACH).await;
    stage.let_off(2 * EACH);
    assert_eq!(storm.end().await.served, 2 * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn router_layer() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/a", get(play))
        .route("/b", get(play))
        .layer(trial.layer());
    trial.holds(app, &["/a", "/b"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn router_route_layer() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/a", get(play))
        .route("/b", get(play))
        .route_layer(trial.layer());
    trial.holds(app, &["/a", "/b"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn method_router_layer() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/a", get(play).post(play).layer(trial.layer()))
        .route("/b", get(play));
    trial.holds(app, &["/a"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn method_router_route_layer() {
    let trial = Trial::new();
    let app = Router::new().route("/", get(play).route_layer(trial.layer()));
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_method_by_layer() {
    let trial = Trial::new();
    let app = Router::new().route("/", any(play).layer(trial.layer()));
    trial.holds(app, &["/"]).await;
}

/// Of any method there is no 405 to leave out, and axum says so.
#[tokio::test]
#[should_panic(expected = "Adding a route_layer before any routes is a no-op")]
async fn any_method_by_route_layer_panics_at_start_up() {
    let _app: MethodRouter<Stage> = any(play).route_layer(Trial::new().layer());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_routes_share_one_limit() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/a", get(play).route_layer(trial.layer()))
        .route("/b", get(play).route_layer(trial.layer()));
    trial.holds(app, &["/a", "/b"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handler_layer() {
    let trial = Trial::new();
    let app = Router::new().route("/", get(play.layer(trial.layer())));
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_builder_on_a_router() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/", get(play))
        .layer(ServiceBuilder::new().layer(trial.layer()));
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_builder_around_a_route_service() {
    let trial = Trial::new();
    let stage = trial.stage.clone();
    let service = ServiceBuilder::new()
        .layer(trial.layer())
        .service_fn(move |_: Request<Body>| {
            let stage = stage.clone();
            async move {
                stage.play().await;
                Ok::<_, Infallible>(Response::new(Body::from("played")))
            }
        });
    let app = Router::new().route("/", get_service(service));
    trial.holds(app, &["/"]).await;
}

/// Tower's `option_layer` needs one response type with and without the layer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tower_option_layer_with_release_at_head() {
    let trial = Trial::new();
    let limit = Some(trial.layer().release_at_head());
    let app = Router::new()
        .route("/", get(play))
        .layer(tower::util::option_layer(limit));
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn axum_option_layer() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/", get(play))
        .layer(axum_extra::middleware::option_layer(Some(trial.layer())));
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_option_layer_limits_nothing() {
    let trial = Trial::new();
    let absent = Some(trial.layer()).filter(|_| false);
    let app = Router::new()
        .route("/", get(play))
        .layer(axum_extra::middleware::option_layer(absent));
    let server = Server::axum(app.with_state(trial.stage.clone())).await;
    let storm = Storm::begin(server.address, &["/"]).await;
    until("all run", || trial.stage.now() == 2 * EACH).await;
    trial.stage.let_off(2 * EACH);
    assert_eq!(storm.end().await.served, 2 * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tower_to_hyper_service() {
    let trial = Trial::new();
    let stage = trial.stage.clone();
    let service = trial.layer().layer(service_fn(move |_: Request<_>| {
        let stage = stage.clone();
        async move {
            stage.play().await;
            Ok::<_, Infallible>(Response::new(Body::from("played")))
        }
    }));
    let server = Server::start(|listener| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            });
        }
    })
    .await;
    trial.holds_on(&server, &["/"]).await;
}

/// A whole router as the inner service, below the layer. `axum::serve` wants axum's body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn around_a_finished_router() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/", get(play))
        .with_state(trial.stage.clone());
    let limited = (ResponseAxumBodyLayer, trial.layer()).layer(app);
    let server = Server::start(|listener| async {
        axum::serve(listener, tower::make::Shared::new(limited))
            .await
            .expect("serves for ever");
    })
    .await;
    trial.holds_on(&server, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_any_service_with_a_response() {
    let trial = Trial::new();
    let layer = trial
        .layer()
        .for_any_service()
        .on_reject(|rejection: Rejection| rejection.response().map(Body::from));
    let app = Router::new().route("/", get(play)).layer(layer);
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_any_service_with_handled_errors() {
    let trial = Trial::new();
    let app = Router::new().route("/", get(play)).layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(
                |error: LimitError<Infallible>| async move {
                    match error {
                        LimitError::Rejected(rejection) => rejection.response().map(Body::from),
                        LimitError::Inner(never) => match never {},
                    }
                },
            ))
            .layer(trial.layer().for_any_service().wrap_errors()),
    );
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_any_service_with_boxed_errors() {
    let trial = Trial::new();
    let app = Router::new().route("/", get(play)).layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(|error: BoxError| async move {
                let rejection = error.downcast::<Rejection>().expect("nothing else fails");
                rejection.response().map(Body::from)
            }))
            .layer(trial.layer().for_any_service())
            .map_err(BoxError::from),
    );
    trial.holds(app, &["/"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_routers_share_the_limit() {
    let trial = Trial::new();
    let inner = || {
        Router::new()
            .route("/", get(play))
            .route_layer(trial.layer())
    };
    let app = Router::new()
        .nest("/one", inner())
        .nest("/two", Router::new().nest("/deep", inner()));
    trial.holds(app, &["/one", "/two/deep"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_routers_share_the_limit() {
    let trial = Trial::new();
    let part = |path| Router::new().route(path, get(play)).layer(trial.layer());
    let app = Router::new().merge(part("/a")).merge(part("/b"));
    trial.holds(app, &["/a", "/b"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fallback_is_limited_by_router_layer() {
    let trial = Trial::new();
    let app = Router::new()
        .route("/", get(play))
        .fallback(play)
        .layer(trial.layer());
    trial.holds(app, &["/", "/nowhere"]).await;
}

/// A router with its own state below one with another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_state_of_its_own() {
    let trial = Trial::new();
    let limited: MethodRouter<Stage> = get(play).route_layer(trial.layer());
    let inner = Router::new()
        .route("/", limited)
        .with_state(trial.stage.clone());
    let app = Router::<Stage>::new().nest_service("/own", inner);
    trial.holds(app, &["/own"]).await;
}
