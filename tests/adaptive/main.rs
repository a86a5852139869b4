//! Limits that follow what each permit reports.

#[path = "../common/mod.rs"]
mod common;

mod claims;
mod goodput;
mod lasting;
mod learning;
