//! The servers that other tests start: that they are what they are said to be.

#![cfg(unix)]

use test_support::{Cluster, Options, Server};

#[test]
fn a_server_answers_and_keeps_nothing() {
    let server = Server::start();
    server.command(&["SET", "key", "value"]);
    assert_eq!(server.ask::<String>(&["GET", "key"]).unwrap(), "value");
    server.restart();
    assert_eq!(server.ask::<Option<String>>(&["GET", "key"]).unwrap(), None);
}

#[test]
fn a_server_is_gone_with_its_handle() {
    let server = Server::start();
    let port = server.port();
    drop(server);
    std::net::TcpStream::connect(("127.0.0.1", port)).expect_err("nobody is there");
}

#[test]
fn what_is_kept_on_disk_outlives_a_kill() {
    let server = Server::with(Options {
        appendonly: true,
        ..Options::default()
    });
    server.command(&["SET", "key", "value"]);
    let port = server.port();
    server.kill();
    assert!(server.ask::<String>(&["GET", "key"]).is_err(), "it is down");
    server.restart();
    assert_eq!(server.port(), port);
    assert_eq!(server.ask::<String>(&["GET", "key"]).unwrap(), "value");
    server.stop();
    server.restart();
    assert_eq!(server.ask::<String>(&["GET", "key"]).unwrap(), "value");
}

#[test]
fn a_paused_server_keeps_its_connections_and_answers_later() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        time::Duration,
    };
    let server = Server::start();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    server.pause();
    let patience = |millis| stream.set_read_timeout(Some(Duration::from_millis(millis)));
    patience(100).unwrap();
    (&stream).write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    (&stream)
        .read(&mut answer)
        .expect_err("no answer while it is paused");
    server.resume();
    patience(5_000).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn the_options_reach_the_server() {
    let server = Server::with(Options {
        requirepass: Some("secret"),
        maxmemory: Some("64mb"),
        policy: Some("allkeys-lru"),
        settings: vec![("maxclients", "77".into())],
        ..Options::default()
    });
    let setting = |name| {
        server
            .ask::<(String, String)>(&["CONFIG", "GET", name])
            .unwrap()
            .1
    };
    assert_eq!(setting("requirepass"), "secret");
    assert_eq!(setting("maxmemory"), (64 << 20).to_string());
    assert_eq!(setting("maxmemory-policy"), "allkeys-lru");
    assert_eq!(setting("maxclients"), "77");
}

#[test]
fn a_wrong_option_is_said_and_not_tried_again() {
    let error = Server::launch(Options {
        maxmemory: Some("much"),
        ..Options::default()
    })
    .unwrap_err();
    assert!(
        format!("{error:#}").contains("the server ended"),
        "{error:#}"
    );
}

#[test]
fn a_replica_follows_and_takes_over() {
    let primary = Server::start();
    primary.command(&["SET", "key", "value"]);
    let replica = Server::replica_of(&primary);
    assert_eq!(replica.ask::<String>(&["GET", "key"]).unwrap(), "value");
    replica
        .ask::<()>(&["SET", "key", "other"])
        .expect_err("replicas are read only");
    primary.kill();
    replica.promote();
    replica.command(&["SET", "key", "other"]);
}

#[test]
fn a_slot_moves_with_its_keys() {
    let cluster = Cluster::start(3);
    let slot = cluster.slot_of("{tag}:key");
    let owner = cluster.owner_of(slot);
    let next = (owner + 1) % 3;
    let [old, new] = [owner, next].map(|index| &cluster.nodes()[index]);
    old.command(&["SET", "{tag}:key", "value"]);
    cluster.move_slot(slot, next);
    assert_eq!(cluster.owner_of(slot), next);
    assert_eq!(new.ask::<String>(&["GET", "{tag}:key"]).unwrap(), "value");
    let moved = old.ask::<String>(&["GET", "{tag}:key"]).unwrap_err();
    assert_eq!(moved.code(), Some("MOVED"), "{moved}");
}
