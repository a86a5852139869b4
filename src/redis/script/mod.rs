//! The scripts that decide, as they are called and as they answer.
//!
//! Each is put together from small files, because a script cannot load another. They decide for one
//! resource what [`admission::Queue`](crate::admission::Queue) decides for a line.

mod call;
mod config;
mod keys;
mod push;
mod reply;
mod text;

pub(super) use call::{Call, attach, audit, configure, leave, operate};
pub(super) use keys::{Keys, channel};
pub(super) use push::{Letter, Push};
pub(super) use reply::{ProtocolError, parse_audit, parse_configured, parse_reply};

/// So many rates a resource can have.
pub(super) const RATES: usize = 4;

#[cfg(all(test, not(tcl_loom)))]
pub(super) use text::Script;

/// The script of [`operate`].
#[cfg(all(test, not(tcl_loom)))]
pub(super) fn operation_text() -> &'static str {
    text::OPERATION.text()
}

/// The script of [`attach`].
#[cfg(all(test, not(tcl_loom)))]
pub(super) fn attach_text() -> &'static str {
    text::ATTACH.text()
}
