//! A faulty network between a client and a server: a TCP proxy that knows where their words begin
//! and end.

mod carry;
mod faults;
mod resp;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use carry::{Connection, reset};
pub use faults::{Cut, Faults};

/// Gone when dropped, and its connections with it.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    server: Arc<AtomicU16>,
    faults: watch::Sender<Faults>,
    /// How often all connections were reset.
    resets: watch::Sender<usize>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// What was carried, and what was not.
#[derive(Debug, Default)]
pub struct Counts {
    connections: AtomicUsize,
    pushes: AtomicUsize,
    dropped_pushes: AtomicUsize,
    cut_replies: AtomicUsize,
}

impl Proxy {
    /// In front of the server on this port of this host. It carries everything, until it is told
    /// not to.
    pub async fn to(server: u16) -> Self {
        let server = Arc::new(AtomicU16::new(server));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let faults = watch::Sender::new(Faults::default());
        let resets = watch::Sender::new(0);
        let counts = Arc::<Counts>::default();
        let task = {
            let (faults, resets, counts) = (faults.clone(), resets.clone(), Arc::clone(&counts));
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let number = counts.connections.fetch_add(1, Relaxed);
                    let counts = Arc::clone(&counts);
                    let (faults, resets) = (faults.clone(), resets.subscribe());
                    let server = server.load(Relaxed);
                    connections.spawn(async move {
                        match TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await {
                            Ok(server) => {
                                let connection = Connection::new(number, faults, counts);
                                connection.carry(client, server, resets).await;
                            }
                            Err(_) => reset(&client),
                        }
                    });
                    while connections.try_join_next().is_some() {}
                }
            })
        };
        Self {
            port,
            server,
            faults,
            resets,
            counts,
            task,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What goes wrong from now on, on the connections that there are and on those to come.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    /// Nothing goes wrong any more; what was held goes on.
    pub fn heal(&self) {
        self.set(|faults| *faults = Faults::default());
    }

    /// Another server from now on, for new connections: those that there are, are reset.
    pub fn point_to(&self, server: u16) {
        self.server.store(server, Relaxed);
        self.reset();
    }

    /// Resets all connections. New ones are carried.
    pub fn reset(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Relaxed)
    }

    /// The messages that the server pushed.
    pub fn pushes(&self) -> usize {
        self.counts.pushes.load(Relaxed)
    }

    pub fn dropped_pushes(&self) -> usize {
        self.counts.dropped_pushes.load(Relaxed)
    }

    pub fn cut_replies(&self) -> usize {
        self.counts.cut_replies.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
