//! The faulty network that other tests use: that it does what it is told to, and nothing else.

#![cfg(unix)]

use std::{io::ErrorKind, time::Duration};

use test_support::{Cut, Proxy, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(5);

struct Client(TcpStream);

impl Client {
    async fn of(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port())).await;
        Self(stream.expect("a connection"))
    }

    async fn say(&mut self, words: &[&str]) {
        let words = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<_> = words.collect();
        let command = format!("*{}\r\n{}", words.len(), words.concat());
        let written = self.0.write_all(command.as_bytes()).await;
        written.expect("a connection");
    }

    async fn hears(&mut self, expected: &str) {
        let mut heard = vec![0; expected.len()];
        let read = timeout(LONG, self.0.read_exact(&mut heard)).await;
        read.expect("in time").expect("an answer");
        assert_eq!(String::from_utf8_lossy(&heard), expected);
    }

    async fn hears_nothing(&mut self) {
        let read = timeout(SHORT, self.0.read_u8()).await;
        read.expect_err("nothing arrives");
    }

    async fn is_reset(&mut self) {
        let end = timeout(LONG, self.0.read_u8()).await.expect("an end");
        let error = end.expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

async fn faulty() -> (Server, Proxy, Client) {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let client = Client::of(&proxy).await;
    (server, proxy, client)
}

fn count(server: &Server) -> Option<u64> {
    server.ask(&["GET", "count"]).expect("an answer")
}

#[tokio::test]
async fn everything_is_carried() {
    let (_server, proxy, mut client) = faulty().await;
    let long = "x\r\n".repeat(300_000);
    client.say(&["SET", "key", &long]).await;
    client.hears("+OK\r\n").await;
    client.say(&["GET", "key"]).await;
    client
        .hears(&format!("${}\r\n{long}\r\n", long.len()))
        .await;
    client.0.write_all(b"PING\r\n").await.unwrap();
    client.hears("+PONG\r\n").await;
    client.say(&["QUIT"]).await;
    client.hears("+OK\r\n").await;
    assert_eq!(client.0.read(&mut [0]).await.unwrap(), 0, "the goodbye too");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn some_published_messages_are_dropped_and_nothing_else() {
    let (server, proxy, mut client) = faulty().await;
    proxy.set(|faults| faults.dropped_pushes = 1.0);
    client.say(&["HELLO", "3"]).await;
    client.say(&["CLIENT", "REPLY", "ON"]).await;
    let mut rest = String::new();
    while !rest.ends_with("+OK\r\n") {
        rest.push(
            timeout(LONG, client.0.read_u8())
                .await
                .unwrap()
                .unwrap()
                .into(),
        );
    }
    client.say(&["SUBSCRIBE", "news"]).await;
    client
        .hears(">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n")
        .await;
    server.command(&["PUBLISH", "news", "lost"]);
    client.hears_nothing().await;
    assert_eq!((proxy.pushes(), proxy.dropped_pushes()), (1, 1));

    proxy.set(|faults| faults.dropped_pushes = 0.05);
    let publish = "for i = 1, 1000 do redis.call('PUBLISH', 'news', 'x') end";
    server.ask::<()>(&["EVAL", publish, "0"]).unwrap();
    client.say(&["PING"]).await;
    let mut heard = String::new();
    while !heard.ends_with("+PONG\r\n") {
        heard.push(
            timeout(LONG, client.0.read_u8())
                .await
                .unwrap()
                .unwrap()
                .into(),
        );
    }
    let messages = heard.matches(">3\r\n$7\r\nmessage\r\n").count();
    assert_eq!(messages + proxy.dropped_pushes() - 1, 1_000);
    assert!((920..980).contains(&messages), "{messages} of 1000 arrived");

    // Pushes are no replies.
    proxy.set(|faults| faults.cut = Some(Cut::next("ECHO")));
    client.say(&["PING"]).await;
    client.say(&["ECHO", "x"]).await;
    client.hears("+PONG\r\n").await;
    client.is_reset().await;
}

#[tokio::test]
async fn a_cut_reply_is_that_of_a_command_that_was_executed() {
    let (server, proxy, mut client) = faulty().await;
    proxy.set(|faults| faults.cut = Some(Cut::next("incr")));
    client.say(&["PING"]).await;
    client.say(&["INCR", "count"]).await;
    client.hears("+PONG\r\n").await;
    client.is_reset().await;
    assert_eq!(count(&server), Some(1));
    assert_eq!(proxy.cut_replies(), 1);

    let mut client = Client::of(&proxy).await;
    client.say(&["INCR", "count"]).await;
    client.hears(":2\r\n").await;
}

#[tokio::test]
async fn a_reset_ends_the_connections_that_there_are() {
    let (_server, proxy, mut client) = faulty().await;
    client.say(&["PING"]).await;
    client.hears("+PONG\r\n").await;
    proxy.reset();
    client.is_reset().await;
    let mut client = Client::of(&proxy).await;
    client.say(&["PING"]).await;
    client.hears("+PONG\r\n").await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn held_requests_reach_the_server_later() {
    let (server, proxy, mut client) = faulty().await;
    proxy.set(|faults| faults.holds_requests = true);
    client.say(&["INCR", "count"]).await;
    client.hears_nothing().await;
    assert_eq!(count(&server), None, "the server has not heard it");
    proxy.heal();
    client.hears(":1\r\n").await;
}

#[tokio::test]
async fn held_replies_reach_the_client_later() {
    let (server, proxy, mut client) = faulty().await;
    proxy.set(|faults| faults.holds_replies = true);
    client.say(&["INCR", "count"]).await;
    client.hears_nothing().await;
    assert_eq!(count(&server), Some(1), "the server has executed it");
    proxy.heal();
    client.hears(":1\r\n").await;
}

#[tokio::test]
async fn a_server_does_not_learn_through_a_hole_that_its_client_is_gone() {
    let (server, proxy, mut client) = faulty().await;
    client.say(&["SUBSCRIBE", "news"]).await;
    client.hears("*3\r\n$9\r\nsubscribe\r\n").await;
    let subscribers = || {
        let answer = server.ask::<(String, u64)>(&["PUBSUB", "NUMSUB", "news"]);
        answer.unwrap().1
    };
    proxy.set(|faults| (faults.holds_requests, faults.holds_replies) = (true, true));
    drop(client);
    tokio::time::sleep(SHORT).await;
    assert_eq!(subscribers(), 1);
    proxy.heal();
    let gone = async {
        while subscribers() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, gone).await.expect("the goodbye arrives");
}

#[tokio::test]
async fn a_delay_is_that_of_the_way_and_not_of_each_word() {
    let (_server, proxy, mut client) = faulty().await;
    proxy.set(|faults| faults.delay = SHORT);
    let start = Instant::now();
    for _ in 0..20 {
        client.say(&["PING"]).await;
    }
    client.hears(&"+PONG\r\n".repeat(20)).await;
    let took = start.elapsed();
    assert!((2 * SHORT..10 * SHORT).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_server_that_is_down_is_a_reset() {
    let (server, proxy, _) = faulty().await;
    server.kill();
    Client::of(&proxy).await.is_reset().await;
}
