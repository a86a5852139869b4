//! Limits that find themselves: up while the resource keeps pace, down when it does not.
//!
//! A fixed limit is a guess at what the resource can take, made once. An adaptive limit watches
//! each permit that ends, how long it was held and how the work ended, and moves the limit by it,
//! as TCP moves its window by the acknowledgements it gets.
//!
//! ```
//! use std::time::Duration;
//! use tower_concurrency_limiter::adaptive::{AdaptiveLimit, Aimd, Outcome, Sample};
//!
//! let mut limit = Aimd::between(5, 100).start(20).build();
//!
//! limit.update(&Sample::new(Duration::from_millis(30), 20, Outcome::Overload));
//! assert_eq!(limit.limit(), 14); // the resource refused at 20: 70 % of it
//!
//! limit.update(&Sample::new(Duration::from_millis(30), 3, Outcome::Ignore));
//! assert_eq!(limit.limit(), 14);
//! ```
//!
//! # When to choose it
//!
//! When **all** traffic to the resource comes through this limit. An adaptive limit takes whatever
//! slows the resource for its own doing. If others share the resource, their load moves your limit:
//! they push, you yield, and they take what you gave up. Several processes with a limit each are
//! such others, too. If all have an [`Aimd`], they come to a fair share. [`Gradient2`] limits push
//! each other up to their ceilings, as each takes the queue of the others for the usual time.
//!
//! When the capacity **changes or is not known**: a service that scales, a database whose queries
//! change from release to release. If you know the number, such as the size of a connection pool or
//! the terms of an API, use it: a fixed limit is right from the first request, and easy to reason
//! about.
//!
//! When there is **enough traffic**. Both need dozens of permits to move at all. For a few requests
//! a minute choose a fixed limit.
//!
//! # Which of the two
//!
//! | | [`Aimd`] | [`Gradient2`] |
//! |---|---|---|
//! | listens to | refusals, and times above a timeout | times beside their average, and refusals |
//! | choose it when | the resource says so when it has too much, or you know what is too slow | it only grows slower, and nobody knows the time it should take |
//! | settles | in a sawtooth below the point of overload, 70 % to 100 % of it | at about 1.5 times what is served at once, plus 4 |
//! | price | an overload in every tooth: some requests are refused or late so that the limit is known | a probe now and then, about 1 % of the throughput |
//! | work of uneven length | no matter, with a timeout well above the longest | blurs it: times that differ much within a resource need more tolerance, or a resource each |
//!
//! In doubt, [`Aimd`]: what it does can be told from its last overload.
//!
//! # Outcomes
//!
//! | outcome | examples | effect |
//! |---|---|---|
//! | [`Success`](Outcome::Success) | rows, "not found", a conflict: the resource has worked | counts with its held time |
//! | [`Overload`](Outcome::Overload) | a timeout, 503, 429, a refused connection | takes the limit down; its held time is not averaged |
//! | [`Ignore`](Outcome::Ignore) | a cache hit, a validation error, a stream | none |
//! | [`Dropped`](Outcome::Dropped) | the client has left, a timeout outside the limiter | its held time is a lower bound: overload above the timeout of [`Aimd`], counted by [`Gradient2`] where it is above the average |
//!
//! A layer sets it by [`classify`](crate::ConcurrencyLimitLayer::classify), from the head of the
//! response; code by [`Permit::set_outcome`](crate::Permit::set_outcome). The default is a success:
//! then only the times count. The layer and [`Limiter::run`](crate::Limiter::run) set `Dropped`
//! where the work is dropped before it is done. Whatever the outcome, the permit counts as ended:
//! it is part of its round.
//!
//! The choice between the first three has to be right. An error that is quick and counts as a
//! success says "fast", and invites more load on a resource that is down. A cache hit that counts
//! as a success says the same. A bug of your own that counts as overload throttles a healthy
//! resource. What is held for other reasons, such as a stream that waits for its reader or a
//! WebSocket, is best ignored, or given a resource of its own.
//!
//! # Lasting work
//!
//! Streams beside short work would fill a limit that is made for the short work: a probe, or two
//! steps down, and the limit is below what they hold. So the limit moves by short work, and applies
//! to it alone:
//!
//! * Units held for more than 8 times the usual time of a success, while 4 times as many units as
//!   were in use beside them came and went, are lasting.
//!   [`Resource::limit`](crate::Resource::limit) is the limit of the algorithm plus lasting units,
//!   up to the ceiling, and [`Sample::in_use`] is without them. While a resource does not respond,
//!   nothing comes and goes, so that nothing becomes lasting.
//! * If no permit ends for 4 times the usual time, and for 1 s at least (5 s before the first
//!   success), while requests are kept out, a probe is [given up](AdaptiveLimit::stalled). After
//!   twice that time as many units as the floor are let in beside what is held, within the ceiling,
//!   and again whenever the time has doubled.
//!
//! At the ceiling it is a fixed limit: lasting work that fills it keeps other work out. Where very
//! many quick requests, such as cache hits, share a resource with slow ones, mark the quick ones as
//! `Ignore`: otherwise they are the usual ones, and the slow ones lasting.
//!
//! # Floor and ceiling
//!
//! Both are required, as every measurement is wrong at times.
//!
//! * The **floor** is what you give the resource even if all signs say no. It keeps the signs
//!   coming: with too few permits there is too little to learn from. A number that has never hurt,
//!   such as the connections of a quiet hour, and well below what the resource can serve at once:
//!   [`Gradient2`] compares with a third of its limit, and cannot go below the floor for it.
//! * The **ceiling** is what you do not exceed even if all signs say yes: the size of the
//!   connection pool, file descriptors, memory per request. At the ceiling this is a fixed limit.
//!
//! A request may claim as many units as the floor at most, which is checked where its set is named:
//! above it, an idle resource could refuse it for ever. For the same reason fewer units than the
//! floor can be reserved.
//!
//! The limit starts at the floor unless told otherwise, and grows by a unit or so per round, a
//! round being as many permits as the limit. If a restart meets full load, start at what was good
//! before.
//!
//! # Measured
//!
//! Goodput in ten minutes of paused time, through the limiter: units of work per second that were
//! done while the client was still there, and the share of what the best fixed limit of a sweep
//! reaches. The resource works on 8 units at once, half a second each; more than 8 slow each other
//! down. Both limits move between 4 and 200 and start at 20 (at 60 where clients give up); `Aimd`
//! has a timeout of 1.5 s. Clients wait for 5 s.
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
//! Some 100 bytes per resource, and a few floating point operations when a permit ends. Whoever
//! feeds it has to know how long a permit was held, so that requests of such a resource take the
//! limiter's lock and read the clock when they come and when they go; those of a fixed limit do
//! not. And a limit that moves is harder to explain in the night: record
//! [`Resource::limit`](crate::Resource::limit) with your metrics.
//!
//! # Your own
//!
//! [`AdaptiveLimit`] is a trait without clock and I/O: samples go in, the limit comes out. So a
//! test can drive it in virtual time. Two methods are required. Override
//! [`floor`](AdaptiveLimit::floor) if requests claim more than one unit.

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

/// How a limit moves by the permits that end.
///
/// An implementation is a pure function of the samples so far: no clock, no I/O, no waiting, as it
/// may be called under a lock. A limit below the [`floor`](Self::floor), from where no permit might
/// raise it again, counts as the floor.
///
/// ```
/// use tower_concurrency_limiter::adaptive::{AdaptiveLimit, Outcome, Sample};
///
/// /// Half speed from the first overload on.
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
    /// Takes in one permit that has ended, and returns the limit from now on.
    fn update(&mut self, sample: &Sample) -> usize;

    /// The present limit; before the first sample, where it starts.
    fn limit(&self) -> usize;

    /// The smallest limit there will be: no request may claim more, or it could never be admitted
    /// again. Read once, when the resource is built; a smaller limit counts as the floor, a floor
    /// of 0 as 1.
    ///
    /// Default: 1.
    fn floor(&self) -> usize {
        1
    }

    /// The most units that may be in use at once, [lasting work](self#lasting-work) included. Read
    /// once, when the resource is built; a larger limit is in force all the same.
    ///
    /// Default: no bound.
    fn ceiling(&self) -> usize {
        usize::MAX
    }

    /// Returns the limit from now on, after no permit has ended for `quiet`, several times as long
    /// as usual, while requests were kept out by the limit. Either the resource does not respond,
    /// or the limit is below what is held by long work.
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
