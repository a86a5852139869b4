//! A server of its own for each test.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
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
        let names = ["redis-server", "valkey-server"];
        let process = names.into_iter().find_map(|name| {
            let port = port.to_string();
            let arguments = ["--port", &port, "--save", "", "--appendonly", "no"];
            let command = &mut Command::new(name);
            command.args(arguments).stdout(Stdio::null()).spawn().ok()
        });
        Self {
            process: process.expect("redis-server or valkey-server in the PATH"),
            port,
        }
    }

    pub(super) fn connect(&self) -> Connection {
        let client = Client::open(format!("redis://127.0.0.1:{}/", self.port)).expect("an address");
        for _ in 0..500 {
            if let Ok(connection) = client.get_connection() {
                return connection;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server at port {} does not answer", self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
