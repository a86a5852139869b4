//! What the tests share: requests and handlers, what was logged, and for limits that several
//! processes share real servers, a faulty network and a checker.

#[cfg(feature = "servers")]
mod binary;
#[cfg(feature = "servers")]
mod cluster;
#[cfg(feature = "events")]
pub mod events;
pub mod holders;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "servers")]
mod options;
pub mod pip;
#[cfg(feature = "servers")]
mod port;
#[cfg(feature = "servers")]
mod process;
#[cfg(feature = "servers")]
mod proxy;
#[cfg(feature = "servers")]
mod server;
mod target;
#[cfg(feature = "servers")]
mod wait;

#[cfg(feature = "servers")]
pub use cluster::Cluster;
#[cfg(feature = "servers")]
pub use options::Options;
#[cfg(feature = "servers")]
pub use port::free_port;
#[cfg(feature = "servers")]
pub use proxy::{Cut, Faults, Proxy};
#[cfg(feature = "servers")]
pub use server::Server;
pub use target::target_folder;
#[cfg(feature = "servers")]
pub use wait::eventually;
