//! Real servers, a faulty network and a checker, for the tests of limits that are shared between processes.

#![allow(
    dead_code,
    unused_imports,
    reason = "whoever includes it is a crate of its own, and none uses all of it"
)]

mod binary;
mod cluster;
pub(crate) mod holders;
mod options;
#[path = "../../examples/common/pip.rs"]
pub(crate) mod pip;
mod port;
mod process;
mod proxy;
mod server;
#[path = "../../examples/common/target.rs"]
pub(crate) mod target;
mod wait;

pub(crate) use cluster::Cluster;
pub(crate) use options::Options;
pub(crate) use port::free_port;
pub(crate) use proxy::{Cut, Faults, Proxy};
pub(crate) use server::Server;
pub(crate) use wait::eventually;
