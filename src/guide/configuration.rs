//! Errors at start-up, changes at run time, and dry runs.
//!
//! # Errors at start-up
//!
//! A limiter or a set that cannot work panics where it is built, at the caller's line. The message
//! names the cure.
//!
//! | mistake | cure in the message |
//! |---|---|
//! | a limit of 0, or above [the highest](crate::Resource::MAX_LIMIT); a rate out of range | the range |
//! | a resource without a limit, a rate or an adaptive limit | to set one |
//! | lanes with the same name, a weight of 0 or a `max` of 0; strict lanes with keys; more reserved than the limit | what to change |
//! | an empty or repeated resource name | a name for each resource |
//! | another resource of a registered name | a clone of the registered one |
//! | a resource of another limiter, or of none | to register it with this one |
//! | an empty set, a resource twice in it, a claim of 0 units or above the limit | what to claim |
//! | a claim above the floor of an adaptive limit, or a reserve as large as the floor | to claim or reserve less, or to raise the floor |
//! | a set in another order than its resources were registered in | the right order, or [`allow_any_order`](crate::limiter::LimiterBuilder::allow_any_order) |
//!
//! For values from a configuration, these methods return an error instead:
//! [`ResourceBuilder::try_build`](crate::resource::ResourceBuilder::try_build),
//! [`LimiterBuilder::try_build`](crate::limiter::LimiterBuilder::try_build),
//! [`Limiter::try_resources`](crate::Limiter::try_resources) and
//! [`Limiter::try_request`](crate::Limiter::try_request).
//!
//! A layer holds its limiter. Dropping the limiter's handle ends nothing.
//!
//! # Changes at run time
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Rate, Resource};
//! # fn main() -> Result<(), tower_concurrency_limiter::resource::InvalidResource> {
//! let db = Resource::builder("db").concurrency(5).rate(Rate::per_second(50)).build();
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//!
//! db.set_limit(8)?; // admits three waiters immediately, in order
//! db.set_limit(2)?; // interrupts nothing; the next grant waits until fewer than two are in use
//! db.set_limit(0)?; // pauses: all requests wait
//! db.set_rate(Rate::per_second(80))?; // what was spent under the old rate still counts
//! # Ok(())
//! # }
//! ```
//!
//! A waiter that claims more units than a lowered limit [stands
//! aside](super::ordering#at-one-resource) until the limit is raised again.
//!
//! [`set_lane`](crate::Resource::set_lane) and [`set_reserve`](crate::Resource::set_reserve) change
//! lanes and reserves, [`set_load_rate`](crate::Resource::set_load_rate) the load rate. These
//! methods change what the resource was built with. They cannot add a rate, a lane or a reserve.
//! Before the resource is registered with a limiter, only the limit can be changed.
//!
//! # Dry runs
//!
//! A resource built with [`dry_run`](crate::resource::ResourceBuilder::dry_run) admits every
//! request immediately. The same decisions are made for it, and reported as
//! [events](crate::observe) with the field `dry_run`. Use it to try a limit on live traffic before
//! it is enforced.
//!
//! The forecast assumes that a request that would have waited takes as long as it does without the
//! limit, so the improvement by the limit is not part of it. `in_use` counts the permits that are
//! held, and may exceed the limit.
//!
//! [Guide](super) · Next: [placement](super::placement)
