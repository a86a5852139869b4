//! The limiter itself: what is acquired, when it is back, and on what threads and runtimes.

mod auto_traits;
mod bad_input;
mod cancellation;
mod cooperation;
mod live_limits;
mod many_resources;
mod overdue;
mod paused_time;
mod runtimes;
mod shutdown;
mod stress;
mod thread_exit;
