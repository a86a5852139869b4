//! The scripts on a real server.

mod differential;
mod server;
mod scripts;
