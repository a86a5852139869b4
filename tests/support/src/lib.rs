//! Real servers, a faulty network and a checker, for the tests of limits that are shared between processes.

mod binary;
mod cluster;
pub mod holders;
mod options;
pub mod pip;
mod port;
mod process;
mod proxy;
mod server;
mod target;
mod wait;

pub use cluster::Cluster;
pub use options::Options;
pub use port::free_port;
pub use proxy::{Cut, Faults, Proxy};
pub use server::Server;
pub use target::target_folder;
pub use wait::eventually;
