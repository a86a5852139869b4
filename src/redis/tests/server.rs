//! A server of its own for each test.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use redis::{Client, Connection};

/// Ends with the test.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let process = ["redis-server", "valkey-server"]
            .into_iter()
            .find_map(|name| {
                let command = &mut Command::new(name);
                command.args(["--save", "", "--appendonly", "no", "--port"]);
                command.arg(port.to_string()).stdout(Stdio::piped());
                command.spawn().ok()
            });
        let mut process = process.expect("redis-server or valkey-server in the PATH");
        let log = process.stdout.take().expect("piped");
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let ready = lines.find(|line| line.contains("Ready to accept connections"));
        assert!(ready.is_some(), "the server ended at once");
        Self { process, port }
    }

    pub(super) fn connect(&self) -> Connection {
        let address = format!("redis://127.0.0.1:{}/", self.port);
        let client = Client::open(address).expect("an address");
        client.get_connection().expect("a server")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
