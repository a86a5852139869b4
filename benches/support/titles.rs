//! The rows that `allocations` measures and `table` shows.

pub(crate) const PER_CALL: &str = "uncontended call, allocations beyond the bare service";
pub(crate) const BYTES_PER_CALL: &str = "uncontended call, bytes allocated beyond the bare service";
pub(crate) const PER_REQUEST: &str =
    "through `axum::serve`, allocations per request beyond a bare router";
pub(crate) const HEAP_PER_WAITER: &str = "heap bytes per waiter beyond the bare service";
