//! Adaptive limits: a limit rises while the resource responds well, and falls when it does not.
//!
//! A fixed limit is an estimate of what the resource can serve. An adaptive limit measures each
//! permit that ends, how long it was held and how the work ended, and adjusts the limit, as TCP
//! adjusts its window to the acknowledgements.
//!
//! ```
//! use std::time::Duration;
//! use tower_concurrency_limiter::adaptive::{AdaptiveLimit, Aimd, Outcome, Sample};
//!
//! let mut limit = Aimd::between(5, 100).start(20).build();
//!
//! limit.update(&Sample::new(Duration::from_millis(30), 20, Outcome::Overload));
//! assert_eq!(limit.limit(), 14); // the resource was overloaded at 20: 70 % of it
//!
//! limit.update(&Sample::new(Duration::from_millis(30), 3, Outcome::Ignore));
//! assert_eq!(limit.limit(), 14);
//! ```
//!
//! # When to use it
//!
//! Use an adaptive limit if **all** traffic to the resource passes through it. It attributes every
//! slowdown to its own load. If others use the resource, their load lowers this limit, and they
//! take the capacity that it yields. This includes other processes of the same service. If all have
//! an [`Aimd`] limit, they converge to equal shares. [`Gradient2`] limits raise each other up to
//! their ceilings, as each measures the queue of the others as the usual time.
//!
//! Use it if the capacity **changes or is not known**: a service that scales, a database whose
//! queries change with each release. If the capacity is known, such as the size of a connection
//! pool or the terms of an API, use a fixed limit. It is right from the first request, and easier
//! to reason about.
//!
//! Use it if there is **enough traffic**. Both algorithms need dozens of permits to move. For a few
//! requests a minute use a fixed limit.
//!
//! # Which algorithm
//!
//! | | [`Aimd`] | [`Gradient2`] |
//! |---|---|---|
//! | signals | overloads, and times above a timeout | relative times, and overloads |
//! | use it if | the resource reports overload, or the time that is too long is known | the resource only becomes slower, and its usual time is not known |
//! | settles | at 70 % to 100 % of the point of overload | at about 1.5 times what is served at once, plus 4 |
//! | cost | overloads: some requests fail or are late | probes, about 1 % of the throughput |
//! | work of uneven length | no effect below its timeout | needs more tolerance, or a resource for each kind |
//!
//! In doubt, use [`Aimd`]: its value follows from its last overload.
//!
//! # Outcomes
//!
//! | outcome | examples | effect |
//! |---|---|---|
//! | [`Success`](Outcome::Success) | rows, "not found", a conflict | the held time counts |
//! | [`Overload`](Outcome::Overload) | a timeout, 503, 429, a refused connection | lowers the limit; the held time is not averaged |
//! | [`Ignore`](Outcome::Ignore) | a cache hit, a validation error, a stream | none |
//! | [`Dropped`](Outcome::Dropped) | the client has left, a timeout outside of the limiter | the held time is a lower bound: overload if above the timeout of [`Aimd`], counted by [`Gradient2`] if above the average |
//!
//! A layer sets the outcome with [`classify`](crate::ConcurrencyLimitLayer::classify), from the
//! head of the response; other code with [`Permit::set_outcome`](crate::Permit::set_outcome). The
//! default is a success, so that only the times count. The layer and
//! [`Limiter::run`](crate::Limiter::run) set `Dropped` if the work is dropped before it completes.
//! Every ended permit is part of its round, whatever the outcome.
//!
//! The choice between the first three has to be right. A quick error that counts as a success
//! signals a fast resource, and raises the load on a resource that is down. So does a cache hit
//! that counts as a success. A bug that counts as overload throttles a healthy resource. Ignore
//! permits that are held for other reasons, such as a stream that waits for its reader or a
//! WebSocket, or give them a resource of their own.
//!
//! # Lasting work
//!
//! Streams beside short work would fill a limit that is measured by the short work: after a probe,
//! or two steps down, the limit is below what they hold. So the limit is measured by short work,
//! and applies to it alone:
//!
//! * Units are *lasting* if they are held for more than 8 times the usual time of a success, while
//!   4 times as many units as were in use beside them were acquired and released.
//!   [`Resource::limit`] is the limit of the algorithm plus the lasting units, up to the ceiling,
//!   and [`Sample::in_use`] excludes them. While a resource does not respond, no units are
//!   released, so none become lasting.
//! * If no permit ends for 4 times the usual time, and for at least 1 s (5 s before the first
//!   success), while requests wait for the limit, a probe is [ended](AdaptiveLimit::stalled). After
//!   twice that time as many units as the floor are admitted beside those in use, within the
//!   ceiling, and again each time that the time has doubled.
//!
//! At the ceiling the limit is fixed: lasting work that fills it blocks other work. If very many
//! quick requests, such as cache hits, share a resource with slow ones, mark the quick ones as
//! `Ignore`. Otherwise theirs is the usual time, and the slow ones are lasting.
//!
//! # Floor and ceiling
//!
//! Both are required, as every measurement is wrong at times.
//!
//! * The **floor** is the limit that always applies. It ensures that there are samples: with too
//!   few permits there is too little to measure. Choose a number that is known to be safe, such as
//!   the connections of a quiet hour, and well below what the resource can serve at once:
//!   [`Gradient2`] probes with a third of its limit, and cannot probe below the floor.
//! * The **ceiling** is never exceeded: the size of the connection pool, file descriptors, memory
//!   per request.
//!
//! A request can claim at most as many units as the floor. This is checked when its set is created:
//! an idle resource could otherwise block it forever. For the same reason fewer units than the
//! floor can be reserved.
//!
//! The limit starts at the floor by default, and rises by about a unit per round; a round is as
//! many permits as the limit. If restarts happen under full load, start at a value that was good
//! before.
//!
//! # Measured
//!
//! Goodput in ten minutes of paused time, through the limiter: units of work per second that were
//! completed before the client gave up, and the share of what the best fixed limit of a sweep
//! reaches. The resource serves 8 units at once, half a second each; more than 8 slow each other
//! down. Both limits move between 4 and 200 and start at 20 (at 60 if clients give up); `Aimd` has
//! a timeout of 1.5 s. Clients wait for 5 s. Under ten times overload the fixed limits, which are
//! steady there, ran for two minutes.
//! `cargo test --test adaptive goodput -- --nocapture --test-threads 1` prints the rows and asserts
//! a share of 0.8.
//!
//! | load | best fixed limit: goodput | [`Aimd`] | [`Gradient2`] |
//! |---|---|---|---|
//! | 60 clients that give up, all admitted at the start | 8: 16.0 | 15.3 (0.95) | 13.7 (0.86) |
//! | 18 streams of 75 to 225 s beside 40 clients | 26: 16.0 | 15.2 (0.95) | 14.6 (0.92) |
//! | one claim in four as wide as the floor, 4 units | 12: 15.8 | 15.4 (0.98) | 14.8 (0.94) |
//! | 160 requests a second, ten times the capacity | 8: 16.0 | 15.4 (0.97) | 14.7 (0.92) |
//! | 8 servers, then 4, then 8 again | 8: 13.1 | 12.8 (0.98) | 12.0 (0.91) |
//!
//! # What it costs
//!
//! An adaptive limit takes about 100 bytes, and a few floating point operations when a permit ends.
//! How long a permit was held has to be measured, so each acquire and release of the resource takes
//! the limiter's lock and reads the clock, which those of a fixed limit do not. A limit that moves
//! is also harder to explain: record [`Resource::limit`] with your metrics.
//!
//! # Other algorithms
//!
//! Implement [`AdaptiveLimit`]. It takes samples and returns the limit, without a clock or I/O, so
//! a test can run it in virtual time. Two methods are required. Override
//! [`floor`](AdaptiveLimit::floor) if requests claim more than one unit.
//!
//! [`Resource::limit`]: crate::Resource::limit

mod aimd;
mod bounds;
mod error;
mod gradient2;
mod round;
mod sample;
#[cfg(all(test, not(tcl_loom)))]
mod tests;

use std::time::Duration;

pub use aimd::{Aimd, AimdBuilder};
pub use error::InvalidAdaptiveLimit;
pub use gradient2::{Gradient2, Gradient2Builder};
pub use sample::{Outcome, Sample};

/// An algorithm that adjusts a limit to the permits that end.
///
/// An implementation is a pure function of the samples so far, without a clock, I/O or waiting, as
/// it is called under a lock. A limit below the [`floor`](Self::floor) counts as the floor, because
/// no permit might raise it again.
///
/// ```
/// use tower_concurrency_limiter::adaptive::{AdaptiveLimit, Outcome, Sample};
///
/// /// Half of the limit after the first overload.
/// struct Fuse(usize);
///
/// impl AdaptiveLimit for Fuse {
///     fn update(&mut self, sample: &Sample) -> usize {
///         if sample.outcome() == Outcome::Overload {
///             self.0 = 10;
///         }
///         self.0
///     }
///
///     fn limit(&self) -> usize {
///         self.0
///     }
/// }
///
/// let mut limit = Fuse(20);
/// limit.update(&Sample::new(Default::default(), 20, Outcome::Overload));
/// assert_eq!(limit.limit(), 10);
/// ```
pub trait AdaptiveLimit: Send {
    /// Adds the sample of a permit that has ended, and returns the new limit.
    fn update(&mut self, sample: &Sample) -> usize;

    /// Returns the present limit; before the first sample, the initial one.
    fn limit(&self) -> usize;

    /// Returns the lowest value of the limit. No request can claim more, or it might never be
    /// admitted. Called once, when the resource is built. A lower limit counts as the floor, and a
    /// floor of 0 as 1.
    ///
    /// Default: 1.
    fn floor(&self) -> usize {
        1
    }

    /// Returns the most units that can be in use at once, including [lasting
    /// work](self#lasting-work). Called once, when the resource is built. It does not clamp the
    /// limit that [`update`](Self::update) returns.
    ///
    /// Default: no bound.
    fn ceiling(&self) -> usize {
        usize::MAX
    }

    /// Returns the new limit after no permit has ended for `quiet`, several times as long as usual,
    /// while requests waited for the limit. Either the resource does not respond, or long work
    /// holds more than the limit.
    ///
    /// Default: the present limit.
    fn stalled(&mut self, quiet: Duration) -> usize {
        let _ = quiet;
        self.limit()
    }
}

impl<L: AdaptiveLimit + ?Sized> AdaptiveLimit for Box<L> {
    fn update(&mut self, sample: &Sample) -> usize {
        (**self).update(sample)
    }

    fn limit(&self) -> usize {
        (**self).limit()
    }

    fn floor(&self) -> usize {
        (**self).floor()
    }

    fn ceiling(&self) -> usize {
        (**self).ceiling()
    }

    fn stalled(&mut self, quiet: Duration) -> usize {
        (**self).stalled(quiet)
    }
}
