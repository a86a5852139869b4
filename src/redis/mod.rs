//! One limit for all processes, on Redis or Valkey.

mod audit;
mod backend;
mod clock;
mod config;
mod greeting;
mod limit;
mod local;
mod member;
mod protocol;
mod script;
mod settings;
mod sharing;
mod term;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
mod wire;
mod wires;

pub use audit::Difference;
pub use backend::{NotReady, RedisBackend};
pub use settings::{
    DEFAULT_COLD_START, DEFAULT_DOWN_AFTER, DEFAULT_HEARTBEAT, DEFAULT_LEASE, InvalidBackend,
    RedisBackendBuilder,
};
pub use sharing::{Sharing, WhenUnavailable};

pub use crate::shared::{Health, Mode};
