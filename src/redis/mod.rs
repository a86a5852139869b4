//! One limit for all processes that name the same resource, on Redis or Valkey.

mod protocol;
mod script;
#[cfg(all(test, not(tcl_loom)))]
mod tests;
