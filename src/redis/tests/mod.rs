//! The scripts on a real server.

mod clocked;
mod differential;
mod mutations;
mod scripts;
mod server;
