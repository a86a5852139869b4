//! The limits in a closed loop with a simulated resource, by single samples, and against any
//! samples.

mod closed_loop;
mod properties;
mod simulation;
mod single_samples;

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Takes a permit for late when it was held for twice the time of a job, which is when half of the
/// permits are queued in the resource.
fn aimd(start: usize) -> Box<dyn AdaptiveLimit> {
    let late = Duration::from_millis(20);
    Box::new(Aimd::between(1, 400).start(start).timeout(late).build())
}

/// Knows of an overload only what the resource says.
fn aimd_without_timeout(start: usize) -> Box<dyn AdaptiveLimit> {
    Box::new(Aimd::between(1, 400).start(start).build())
}

fn gradient2(start: usize) -> Box<dyn AdaptiveLimit> {
    Box::new(Gradient2::between(1, 400).start(start).build())
}

fn success(held: Duration, in_use: usize) -> Sample {
    Sample::new(held, in_use, Outcome::Success)
}

fn overload(in_use: usize) -> Sample {
    Sample::new(Duration::from_millis(1), in_use, Outcome::Overload)
}
