//! A router as `axum::serve` runs it, on one connection in memory.

use std::{future::pending, io};

use axum::{Router, serve::Listener};
use tokio::{
    io::{DuplexStream, duplex},
    runtime::Runtime,
};

use super::{client::Client, one_thread};

/// A server and its only client, on one thread.
pub(crate) struct Served {
    runtime: Runtime,
    client: Client<DuplexStream>,
}

impl Served {
    pub(crate) fn new(router: Router) -> Self {
        let runtime = one_thread();
        let (client, server) = duplex(16 * 1024);
        let client = runtime.block_on(async {
            tokio::spawn(async {
                let _ = axum::serve(Memory(Some(server)), router).await;
            });
            Client::new(client).await
        });
        Self { runtime, client }
    }

    /// So many requests, one after the other, all admitted.
    pub(crate) fn requests(&mut self, count: usize) {
        self.runtime.block_on(async {
            for _ in 0..count {
                self.client.request().await;
            }
        });
    }
}

/// Accepts one connection.
struct Memory(Option<DuplexStream>);

impl Listener for Memory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}
