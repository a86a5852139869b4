//! Run with: cargo run --example grpc
//!
//! A gRPC server of tonic behind a limit. Its handler has another limit of its own.

use std::{convert::Infallible, net::SocketAddr, task, time::Duration};

use futures_util::future::{self, BoxFuture, FutureExt};
use http::uri::PathAndQuery;
use tokio::{net::TcpListener, time::sleep};
use tonic::{
    Request, Response, Status,
    body::Body,
    client,
    server::{self, NamedService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_concurrency_limiter::{Limiter, Rejection, Resource};

/// Makes reports, one at a time.
#[derive(Clone)]
struct Reports {
    limiter: Limiter,
    db: Resource,
}

impl Reports {
    async fn make(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let permit = self.limiter.acquire([&self.db]).await.map_err(status)?;
        sleep(Duration::from_millis(200)).await;
        drop(permit);
        let title = request.into_inner();
        Ok(Response::new(format!("a report on {title}")))
    }
}

/// The status that the layer would send for this rejection.
fn status(rejection: Rejection) -> Status {
    let response = rejection.grpc_response();
    Status::from_header_map(response.headers()).expect("it has a status")
}

/// Serves two calls at once, and rejects others immediately.
async fn serve(listener: TcpListener, limiter: Limiter, cpu: Resource, db: Resource) {
    let layer = limiter
        .resources([&cpu])
        .bypass(|request| request.uri().path().starts_with("/grpc.health.v1.Health/"))
        .fail_fast_deadline(|request| request.grpc_timeout());
    let mut server = Server::builder().layer(layer);
    let server = server.add_service(Reports { limiter, db });
    let served = server.serve_with_incoming(TcpIncoming::from(listener));
    served.await.expect("serves until the process ends");
}

// What `tonic-prost-build` would generate from the definition of the service.

const MAKE: &str = "/reports.Reports/Make";

impl NamedService for Reports {
    const NAME: &'static str = "reports.Reports";
}

impl Service<http::Request<Body>> for Reports {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != MAKE {
            return future::ok(Status::unimplemented("").into_http()).boxed();
        }
        let reports = self.clone();
        let call = async move {
            let make = service_fn(|request| reports.make(request));
            let mut grpc = server::Grpc::new(ProstCodec::<String, String>::default());
            grpc.unary(make, request).await
        };
        call.map(Ok).boxed()
    }
}

async fn make(channel: Channel, title: &str) -> Result<String, Status> {
    let mut grpc = client::Grpc::new(channel);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<String, String>::default();
    let request = Request::new(title.to_owned());
    let path = PathAndQuery::from_static(MAKE);
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

struct App {
    limiter: Limiter,
    cpu: Resource,
    db: Resource,
    channel: Channel,
}

async fn start() -> App {
    let (cpu, db) = (Resource::new("cpu", 2), Resource::new("db", 1));
    let limiter = Limiter::new(Duration::ZERO, [&cpu, &db]);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, limiter.clone(), cpu.clone(), db.clone()));
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("a URI");
    let channel = endpoint.connect().await.expect("a connection");
    App {
        limiter,
        cpu,
        db,
        channel,
    }
}

#[tokio::main]
async fn main() {
    let app = start().await;
    let titles = ["ants", "bees", "cats", "dogs"];
    let calls = titles.map(|title| make(app.channel.clone(), title));
    for (title, result) in titles.iter().zip(future::join_all(calls).await) {
        match result {
            Ok(report) => println!("{title}: {report}"),
            Err(status) => println!("{title}: {:?}, {}", status.code(), status.message()),
        }
    }
    let (cpu, db) = (app.cpu.in_use(), app.db.in_use());
    println!("in use: {cpu} of cpu, {db} of db");
    app.limiter.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_fits_is_served() {
        let app = start().await;
        let report = make(app.channel, "ants").await.expect("there is room");
        assert_eq!(report, "a report on ants");
    }

    #[tokio::test]
    async fn the_layer_and_the_handler_reject_with_the_same_status() {
        let app = start().await;
        for held in [app.cpu.units(2), app.db.units(1)] {
            let name = held.resource().name().to_owned();
            let _permit = app.limiter.try_acquire([held]).expect("it is free");
            let status = make(app.channel.clone(), "ants").await;
            let status = status.expect_err("there is no room");
            assert_eq!(status.code(), tonic::Code::Unavailable);
            let named = status.message().contains(&format!("\"{name}\""));
            assert!(named, "{status}");
        }
    }
}
