//! A server of its own for each test.

#[path = "../../../tests/shared/mod.rs"]
mod shared;

use redis::{Client, Connection};

/// Ends with the test.
#[derive(Debug)]
pub(super) struct Server(shared::Server);

impl Server {
    pub(super) fn start() -> Self {
        Self(shared::Server::start())
    }

    pub(super) fn connect(&self) -> Connection {
        let client = Client::open(self.0.url()).expect("an address");
        client.get_connection().expect("a server")
    }
}
