//! Run with: cargo run --example websocket
//!
//! A chat over WebSockets, open to two clients at once. The handler takes the permit before it
//! upgrades the connection, and the task of the socket holds it: the response that begins the
//! upgrade has no body, so its request ends at once, and in the callback of `on_upgrade` the permit
//! would be gone.

use std::{io, time::Duration};

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::Response,
    routing::{any, get},
};
use tokio::net::TcpListener;
use tower_concurrency_limiter::{Limiter, Permit, PermitHandle, Resource};

fn app() -> Router {
    let chat = Resource::new("chat", 2);
    let limiter = Limiter::new(Duration::ZERO, [&chat]); // no client waits for another to leave
    let limit = limiter.resources([&chat]).expose_permit();
    let usage = move || async move { format!("{} of 2 in use\n", chat.in_use()) };
    Router::new()
        .route("/chat", any(enter).layer(limit)) // the third client gets 503 instead of a socket
        .route("/usage", get(usage))
}

async fn enter(permit: PermitHandle, upgrade: WebSocketUpgrade) -> Response {
    let permit = permit.take(); // here, not in the callback
    upgrade.on_upgrade(|socket| echo(socket, permit))
}

/// Repeats what the client says, and returns the permit when the client leaves.
async fn echo(mut socket: WebSocket, _permit: Option<Permit>) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("Listening on http://127.0.0.1:3000. Open three sockets, and look at the usage:");
    println!("websocat ws://localhost:3000/chat");
    println!("curl -s localhost:3000/usage");
    axum::serve(listener, app()).await
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures_util::{SinkExt, StreamExt};
    use tokio::net::TcpStream;
    use tokio_tungstenite::{
        MaybeTlsStream, WebSocketStream, connect_async,
        tungstenite::{Error, Message},
    };

    use super::*;

    type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, app()).await });
        address
    }

    async fn open(address: SocketAddr) -> Result<Socket, Error> {
        let socket = connect_async(format!("ws://{address}/chat")).await;
        socket.map(|(socket, _response)| socket)
    }

    async fn says(socket: &mut Socket, word: &'static str) {
        socket.send(Message::text(word)).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.into_text().unwrap(), word);
    }

    async fn usage(address: SocketAddr) -> String {
        let response = reqwest::get(format!("http://{address}/usage"))
            .await
            .unwrap();
        response.text().await.unwrap()
    }

    #[tokio::test]
    async fn the_limit_holds_while_the_sockets_are_open() {
        let address = start().await;
        let mut first = open(address).await.unwrap();
        let mut second = open(address).await.unwrap();
        says(&mut first, "one").await;
        says(&mut second, "two").await;
        assert_eq!(usage(address).await, "2 of 2 in use\n");

        let Err(Error::Http(refusal)) = open(address).await else {
            panic!("two sockets are open");
        };
        assert_eq!(refusal.status(), 503);
        says(&mut first, "still open").await;

        first.close(None).await.unwrap();
        while first.next().await.is_some() {} // until the server has closed it, too
        let mut third = loop {
            match open(address).await {
                Ok(socket) => break socket,
                Err(_) => tokio::task::yield_now().await, // its task has not ended yet
            }
        };
        says(&mut third, "in turn").await;
        assert_eq!(usage(address).await, "2 of 2 in use\n");
    }
}
