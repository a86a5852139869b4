//! The measurements. Each returns rows of the table, and each checks its answer.

pub(crate) mod allocations;
pub(crate) mod bars;
pub(crate) mod call;
pub(crate) mod child;
pub(crate) mod contended;
pub(crate) mod dropped;
pub(crate) mod expiring;
pub(crate) mod hand_off;
pub(crate) mod instructions;
pub(crate) mod requests;
