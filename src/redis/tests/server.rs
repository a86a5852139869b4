//! A server of its own for each test.

use std::time::Duration;

use redis::{Client, Connection};

/// Ends with the test.
#[derive(Debug)]
pub(super) struct Server(test_support::Server);

impl Server {
    pub(super) fn start() -> Self {
        Self(test_support::Server::start())
    }

    pub(super) fn connect(&self) -> Connection {
        let client = Client::open(self.0.url()).expect("an address");
        let connection = client.get_connection().expect("a server");
        let patience = Some(Duration::from_secs(5)); // a broken script may never end
        connection.set_read_timeout(patience).expect("a patience");
        connection
    }
}
