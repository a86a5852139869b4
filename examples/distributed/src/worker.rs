//! One of the processes: a server whose route has a limit that it shares with the others.

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use test_support::holders::{Log, now};
use tokio::{net::TcpListener, time::sleep};
use tower_concurrency_limiter::{Limiter, Permit, PermitHandle, Resource, redis::RedisBackend};

use crate::plan::Plan;

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) number: u32,
    /// Where the limit is shared.
    pub(crate) redis: String,
    pub(crate) log: PathBuf,
    pub(crate) plan: Plan,
}

/// For the first permit.
const PATIENCE: Duration = Duration::from_secs(10);

impl Worker {
    /// Serves until the process ends. The first line of the output is where.
    pub(crate) async fn serve(self) -> Result<()> {
        let backend = RedisBackend::builder(&self.redis)
            .heartbeat(self.plan.heartbeat)
            .lease(self.plan.lease)
            .connect()
            .await?;
        let db = Resource::builder("db")
            .concurrency(self.plan.limit as usize)
            .shared(&backend)
            .build();
        let limiter = Limiter::new(self.plan.wait, [&db]);
        // The first processes of all wait until it is certain that there are no others who hold
        // something.
        let first = limiter.request([&db]).timeout(PATIENCE).acquire().await;
        drop(first.context("no first permit")?);
        let log = Log::open(&self.log, self.number)?;
        let app = app(&limiter, &db, self.plan.work, log);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        axum::serve(listener, app)
            .await
            .context("the server failed")
    }
}

fn app(limiter: &Limiter, db: &Resource, work: Duration, log: Log) -> Router {
    let log = Arc::new(log);
    Router::new()
        .route(
            "/work",
            get(use_db).route_layer(limiter.resources([db]).expose_permit()),
        )
        .layer(from_fn_with_state(Arc::clone(&log), count))
        .layer(Extension(work))
        .with_state(log)
}

/// The number of a request in the log.
#[derive(Clone, Copy)]
struct Number(u64);

/// Around the limit: when it was asked, and whether it refused.
async fn count(State(log): State<Arc<Log>>, mut request: Request, next: Next) -> Response {
    let number = log.asked();
    request.extensions_mut().insert(Number(number));
    let response = next.run(request).await;
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        log.refused(number);
    }
    response
}

/// Inside of the limit.
async fn use_db(
    State(log): State<Arc<Log>>,
    Extension(Number(number)): Extension<Number>,
    Extension(work): Extension<Duration>,
    permit: PermitHandle,
) -> &'static str {
    let permit = permit.take().expect("nobody else takes it");
    log.granted(number, 1);
    let held = Held {
        log,
        number,
        permit,
    };
    tokio::select! {
        biased;
        // Work that must not go on beside that of others would stop here.
        () = held.permit.lost() => held.log.lost(number, now()),
        () = sleep(work) => (),
    }
    "done\n"
}

/// Says that the permit is returned before it is: also when the client has left.
struct Held {
    log: Arc<Log>,
    number: u64,
    permit: Permit,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.log.returned(self.number);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;
    use test_support::holders::{Holders, Until};

    #[tokio::test]
    async fn what_is_held_is_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let db = Resource::new("db", 2);
        let log = Log::open(&path, 1).unwrap();
        let wait = Duration::from_millis(10);
        let limiter = Limiter::new(wait, [&db]);
        let app = app(&limiter, &db, 20 * wait, log);
        let requests = (0..3).map(|_| {
            let request = Request::get("/work").body(Body::empty()).unwrap();
            app.clone().oneshot(request)
        });
        let statuses: Vec<_> = futures_util::future::join_all(requests)
            .await
            .into_iter()
            .map(|response| response.unwrap().status())
            .collect();
        let (ok, busy) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(statuses, [ok, ok, busy]);
        let holders = Holders::read(&path).unwrap();
        let tally = holders.tallies()[&1];
        assert_eq!((tally.asked, tally.granted, tally.refused), (3, 2, 1));
        assert_eq!(holders.peak(Until::Returned).units, 2);
        assert_eq!(holders.unreturned().count(), 0);
    }
}
