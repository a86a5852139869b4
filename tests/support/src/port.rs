//! Ports that are free for now.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

/// Below the ports that systems hand out to clients: one that tried again and again to reach a
/// server that is down would in the end be given the server's own port, and be connected to itself.
const PORTS: Range<u16> = 15_000..30_000;

/// Nobody listens on it. Whoever takes it may still find that somebody was faster.
pub fn free_port() -> u16 {
    let random = RandomState::new();
    (0_u32..)
        .map(|attempt| {
            let number = random.hash_one(attempt) % u64::from(PORTS.end - PORTS.start);
            PORTS.start + number as u16
        })
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("a free port")
}
