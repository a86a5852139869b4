//! The server: one route that queries a database, and one that reads a file and needs no database.

use std::{io::ErrorKind, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, anyhow};
use axum::{
    Extension, Json, Router, body::Body, extract::State, http::StatusCode, routing::get,
    serve::ListenerExt as _,
};
use clap::ValueEnum;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;
use tower_concurrency_limiter::{Limiter, Overload, PermitHandle, Resource};

use crate::data::{Data, Message, random_messages};

/// Bytes of the file that are read, and sent, at once.
const CHUNK: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Limit {
    Off,
    On,
    /// On, but the permit of a query ends with its request, which may be long before the query ends
    Leaking,
    /// On, and while the queue for the database stands, the newest go first and the oldest are shed
    Overload,
}

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Queries at once.
    pub(crate) db: usize,
    /// Files read at once.
    pub(crate) fs: usize,
    /// Longest wait for a permit, in seconds.
    pub(crate) wait: f64,
    /// A wait that is fine, in seconds; for `Limit::Overload`.
    pub(crate) overload_above: f64,
    /// The queue stands once the wait was above that for so long, in seconds.
    pub(crate) overload_after: f64,
}

pub(crate) fn app(data: Data, limit: Limit, limits: &Limits) -> Router {
    let mut db = Resource::builder("db").concurrency(limits.db);
    if limit == Limit::Overload {
        let [after, above] =
            [limits.overload_after, limits.overload_above].map(Duration::from_secs_f64);
        db = db.overload(Overload::new().interval(after).target(above));
    }
    let db = db.build();
    let fs = Resource::new("fs", limits.fs);
    let limiter = Limiter::new(Duration::from_secs_f64(limits.wait), [&db, &fs]);

    let (messages, file) = (get(messages), get(file));
    let (messages, file) = match limit {
        Limit::Off => (messages, file),
        Limit::On | Limit::Overload => (
            messages.route_layer(limiter.resources([&db]).expose_permit()),
            file.route_layer(limiter.resources([&fs])),
        ),
        Limit::Leaking => (
            messages.route_layer(limiter.resources([&db])),
            file.route_layer(limiter.resources([&fs])),
        ),
    };
    Router::new()
        .route("/messages", messages)
        .route("/file", file)
        .with_state(data)
}

/// With a limiter alone, `PermitHandle` is the extractor; here, one handler serves with and
/// without.
async fn messages(
    State(data): State<Data>,
    permit: Option<Extension<PermitHandle>>,
) -> Result<Json<Vec<Message>>, StatusCode> {
    let permit = permit.and_then(|Extension(handle)| handle.take());
    let query = tokio::task::spawn_blocking(move || {
        let _permit = permit; // a client that leaves does not stop the query
        random_messages(&data.database)
    });
    query.await.map_err(failed)?.map(Json).map_err(failed)
}

async fn file(State(data): State<Data>) -> Result<Body, StatusCode> {
    let file = tokio::fs::File::open(&data.file).await.map_err(failed)?;
    Ok(Body::from_stream(ReaderStream::with_capacity(file, CHUNK)))
}

fn failed(error: impl std::fmt::Display) -> StatusCode {
    eprintln!("{error}");
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Serves until the process ends. The first line of the output is where.
pub(crate) async fn serve(port: u16, data: Data, limit: Limit, limits: &Limits) -> Result<()> {
    data.check()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                anyhow!("port {port} is in use; stop what uses it, or choose another with --port")
            }
            _ => anyhow!(error).context(format!("cannot listen on port {port}")),
        })?;
    println!("listening on http://{}", listener.local_addr()?);
    // Sent at once: Nagle's algorithm would hold each chunk of the file back until the client, 40
    // ms later, acknowledges the one before.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, app(data, limit, limits))
        .await
        .context("the server failed")
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::Request};
    use tower::ServiceExt as _;

    use super::*;
    use crate::data::FILE_BYTES;

    #[tokio::test]
    async fn both_routes_answer_with_every_limit() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::in_folder(folder.path(), 2_000);
        data.prepare().unwrap();
        let limits = Limits {
            db: 5,
            fs: 10,
            wait: 1.0,
            overload_above: 0.1,
            overload_after: 0.1,
        };
        for &limit in Limit::value_variants() {
            let get = async |path| {
                let request = Request::get(path).body(Body::empty()).unwrap();
                let response = app(data.clone(), limit, &limits)
                    .oneshot(request)
                    .await
                    .unwrap();
                assert_eq!(response.status(), StatusCode::OK, "{path} {limit:?}");
                to_bytes(response.into_body(), usize::MAX).await.unwrap()
            };
            let messages: Vec<serde_json::Value> =
                serde_json::from_slice(&get("/messages").await).unwrap();
            assert_eq!(messages.len(), 100);
            assert_eq!(get("/file").await.len(), FILE_BYTES);
        }
    }

    #[tokio::test]
    async fn a_busy_port_is_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::in_folder(folder.path(), 1);
        data.prepare().unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let limits = Limits {
            db: 5,
            fs: 10,
            wait: 1.0,
            overload_above: 0.1,
            overload_after: 0.1,
        };
        let error = serve(port, data, Limit::Off, &limits).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            format!("port {port} is in use; stop what uses it, or choose another with --port")
        );
    }
}
