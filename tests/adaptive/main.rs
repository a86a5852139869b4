//! Limits that follow what each permit reports.

mod claims;
mod goodput;
mod lasting;
mod learning;
