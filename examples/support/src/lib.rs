//! What the examples that are programs have in common: k6, child processes, tables, charts and
//! pages.

mod child;
mod k6;
pub mod page;
pub mod paint;
mod rows;
pub mod samples;
mod stop;

pub use child::{Child, end_with_stdin};
pub use k6::K6;
pub use rows::Rows;
pub use samples::{Outcome, Sample};
pub use stop::until_stopped;
