//! Bounds on how many requests, or how much load, a resource admits per period.
//!
//! A limit bounds what is in use at once; a [`Rate`](crate::Rate) bounds what is admitted per
//! period. A resource can have a limit, rates or both. This one is an API that charges by the
//! minute and by the token and slows down above ten calls at once:
//!
//! ```
//! use std::time::Duration;
//! use tower_concurrency_limiter::{Limiter, Rate, Rejection, Resource};
//!
//! fn models() -> Resource {
//!     Resource::builder("models")
//!         .concurrency(10)
//!         .rate(Rate::per_minute(500)) // requests
//!         .load_rate(Rate::per_minute(90_000)) // tokens
//!         .build()
//! }
//!
//! async fn chat(limiter: &Limiter, models: &Resource, prompt: &str) -> Result<(), Rejection> {
//!     let estimate = 1_000 + prompt.len() as u64 / 4; // the longest answer, and the prompt
//!     let mut permit = limiter.request([models]).load(estimate).acquire().await?;
//!     let used = call(prompt).await;
//!     permit.settle_load(used); // returns the unused part of the estimate to the rate
//!     Ok(())
//! }
//! # async fn call(_prompt: &str) -> u64 { 7 }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Rejection> {
//! # let models = models();
//! # let limiter = Limiter::new(Duration::from_secs(5), [&models]);
//! # chat(&limiter, &models, "hello").await
//! # }
//! ```
//!
//! `acquire` waits while the limit or either rate would be exceeded.
//!
//! # Requests and load
//!
//! * [`rate`](crate::resource::ResourceBuilder::rate) counts requests, whatever number of units
//!   they claim.
//! * [`load_rate`](crate::resource::ResourceBuilder::load_rate) counts the load that each request
//!   declares: tokens, bytes or rows. The default load is 1.
//!
//! Each can be set more than once, for example ten per second and a thousand per hour. An admitted
//! request has spent its share of the rate even if its work fails. `settle_load(0)` returns a load
//! that was not used.
//!
//! # Shapes
//!
//! `Rate::per_minute(500)` admits no more than 500 in any 60 seconds, wherever they start. This is
//! what paid APIs enforce. To protect a resource of your own from bursts, use
//! [`burst`](crate::Rate::burst) or [`smooth`](crate::Rate::smooth); [`Rate`](crate::Rate) compares
//! them in a table.
//!
//! # Long periods
//!
//! * **A huge count or a long period.** The whole count may be admitted in the first moment, and
//!   then nothing until the period is over. Add a second rate for the pace, such as `per_second`
//!   beside `per_hour`, or use [`burst(n)`](crate::Rate::burst). A busy rate with a count above 120
//!   may also fall short of its count by 1 %.
//! * **A long queue.** A request that waits for a rate of a few per hour usually waits until its
//!   deadline in vain. With a timeout of zero it is rejected immediately
//!   ([`Reason::NotNow`](crate::Reason::NotNow)), and `retry-after` is the time at which the rate
//!   allows it.
//!
//! # Responses
//!
//! A request that a rate did not admit gets 503, as any other. If the rate is part of the contract
//! with clients,
//! [`reject_with_too_many_requests`](crate::limiter::LimiterBuilder::reject_with_too_many_requests)
//! makes it
//! 429. Requests that were [shed](crate::Reason::Shed) get 503 in any case.
//! [`Rejection::is_rate_limited`](crate::Rejection::is_rate_limited) returns whether a rate was the
//! cause.
//!
//! # Several processes
//!
//! A rate is that of one process. If four processes share an API key, each needs a quarter of the
//! rate, or the rate becomes a [distributed](super::distributed) one.
//!
//! [Guide](super) · Next: [lanes](super::lanes)
