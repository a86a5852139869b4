//! A gRPC service with a method of each kind, and its client; written by hand, so that no compiler
//! of protocol buffers is needed.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures_util::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream,
};
use http::uri::PathAndQuery;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client,
    server::{self, NamedService},
    transport::Channel,
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use test_support::http::Stage;

pub(crate) const UNARY: &str = "/test.Echo/Unary";
pub(crate) const DOWNLOAD: &str = "/test.Echo/Download";
pub(crate) const UPLOAD: &str = "/test.Echo/Upload";
pub(crate) const CHAT: &str = "/test.Echo/Chat";

/// A unary method, and those that stream responses, requests or both.
pub(crate) const METHODS: [&str; 4] = [UNARY, DOWNLOAD, UPLOAD, CHAT];

/// Methods whose response head comes before the end of their work.
pub(crate) const RESPONSE_STREAMS: [&str; 2] = [DOWNLOAD, CHAT];

/// Each call is on the stage once: before the response of a method that has one message, between
/// the messages of a stream.
#[derive(Clone)]
pub(crate) struct Echo(pub(crate) Stage);

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.clone().dispatch(request).map(Ok).boxed()
    }
}

impl Echo {
    async fn dispatch(self, request: http::Request<Body>) -> http::Response<Body> {
        let mut grpc = server::Grpc::new(codec());
        let echo = |request: Request<String>| {
            let stage = self.0.clone();
            async move {
                stage.play().await;
                Ok(Response::new(request.into_inner()))
            }
        };
        let download = |request: Request<String>| {
            let messages = self.halves(request.into_inner());
            future::ok(Response::new(messages))
        };
        let upload = |request: Request<Streaming<String>>| {
            let stage = self.0.clone();
            async move {
                let all = concat(request.into_inner()).await?;
                stage.play().await;
                Ok(Response::new(all))
            }
        };
        let chat = |request: Request<Streaming<String>>| {
            let end = self.halves(String::new());
            let messages = request.into_inner().chain(end);
            future::ok(Response::new(messages))
        };
        match request.uri().path() {
            UNARY => grpc.unary(service_fn(echo), request).await,
            DOWNLOAD => grpc.server_streaming(service_fn(download), request).await,
            UPLOAD => grpc.client_streaming(service_fn(upload), request).await,
            CHAT => grpc.streaming(service_fn(chat), request).await,
            _ => Status::unimplemented("").into_http(),
        }
    }

    /// The first half of a text at once, the second half after the stage.
    fn halves(
        &self,
        text: String,
    ) -> impl stream::Stream<Item = Result<String, Status>> + Send + 'static {
        let stage = self.0.clone();
        let (first, second) = text.split_at(text.len() / 2);
        let (first, second) = (first.to_owned(), second.to_owned());
        let second = async move {
            stage.play().await;
            Ok(second)
        };
        stream::once(future::ok(first)).chain(stream::once(second))
    }
}

fn codec() -> ProstCodec<String, String> {
    ProstCodec::default()
}

async fn concat(mut messages: Streaming<String>) -> Result<String, Status> {
    let mut all = String::new();
    while let Some(message) = messages.message().await? {
        all += &message;
    }
    Ok(all)
}

/// What every call sends, in two messages if it may.
pub(crate) const TEXT: &str = "echo";

/// Makes a call and reads its response to the end.
pub(crate) async fn call(channel: Channel, method: &'static str) -> Result<String, Status> {
    call_by(channel, Request::new(()), method).await
}

/// The same with the metadata of `request`, through any transport.
pub(crate) async fn call_by<T>(
    transport: T,
    request: Request<()>,
    method: &'static str,
) -> Result<String, Status>
where
    T: client::GrpcService<Body>,
    T::ResponseBody: http_body::Body + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<tower::BoxError>,
{
    let mut grpc = client::Grpc::new(transport);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static(method);
    let (metadata, extensions, ()) = request.into_parts();
    let one = TEXT.to_owned();
    let two = stream::iter([&TEXT[..1], &TEXT[1..]].map(String::from));
    match method {
        UPLOAD => {
            let request = Request::from_parts(metadata, extensions, two);
            let response = grpc.client_streaming(request, path, codec()).await?;
            Ok(response.into_inner())
        }
        CHAT => {
            let request = Request::from_parts(metadata, extensions, two);
            concat(grpc.streaming(request, path, codec()).await?.into_inner()).await
        }
        DOWNLOAD => {
            let request = Request::from_parts(metadata, extensions, one);
            let response = grpc.server_streaming(request, path, codec()).await?;
            concat(response.into_inner()).await
        }
        _ => {
            let request = Request::from_parts(metadata, extensions, one);
            let response = grpc.unary(request, path, codec()).await?;
            Ok(response.into_inner())
        }
    }
}
