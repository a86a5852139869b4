//! Urgent requests in the same queue.
//!
//! A priority is a number from 0 to 255; the default is 10. Among waiters of the same lane, the
//! higher priority is admitted first:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, routing::get};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! let db = Resource::new("db", 5);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//!
//! # async fn pay() {}
//! # async fn browse() {}
//! let checkout = limiter.resources([&db]).priority(|_| 100);
//! let app: Router = Router::new()
//!     .route("/checkout", get(pay).route_layer(checkout))
//!     .route("/products", get(browse).route_layer(limiter.resources([&db]))); // priority 10
//! # }
//! ```
//!
//! A request to `/checkout` waits for a unit to be released, and for nothing else: it overtakes
//! every waiter for `/products`, however long that has waited. A request to `/products` waits at
//! most until its deadline. When the queue is full, a request to `/checkout` takes the place of the
//! youngest waiter for `/products`.
//!
//! Priority compares requests of the same [lane](super::lanes). Between lanes, weights decide.
//!
//! # The effect
//!
//! Half a minute at twice the capacity: 5 units, 100 ms of work each, 98 requests of priority 10
//! and two urgent ones per second, a timeout of 5 s.
//!
//! | the urgent requests | their longest wait, if served | served | served of the others |
//! |---|---|---|---|
//! | have no priority | 4.95 s | 10 of 60 | 1,740 of 2,940 |
//! | have priority 200 | 10 ms | 60 of 60 | 1,690 of 2,940 |
//! | have priority 200, with a credit of 2 s | 4.95 s | 10 of 60 | 1,740 of 2,940 |
//!
//! # Ageing
//!
//! While urgent requests suffice to fill the resource, no other requests are served. There are two
//! ways to change that. One is to give the urgent requests a [lane](super::lanes) with a
//! [`max`](crate::Lane::max). The other is ageing: with
//! [`priority_credit(d)`](crate::limiter::LimiterBuilder::priority_credit), a request that has
//! waited for `d` is served before all that have not.
//!
//! Choose a credit above the wait in an overload. In a queue that is longer than the credit every
//! waiter has aged, and an urgent request waits behind all of them, as in the last line of the
//! table.
//!
//! # Where the priority is from
//!
//! A client that controls the header from which a priority is read will always send the highest.
//! Derive the priority from the route or from what was authenticated; an outer layer can put it
//! into the [extensions](crate::middleware::RequestHead::extensions) of the request.
//!
//! # Reserved units
//!
//! Priority does not interrupt running work. If an urgent request must not wait even for one unit,
//! [reserve](crate::resource::ResourceBuilder::reserve) units for its priority and above:
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! let db = Resource::builder("db").concurrency(5).reserve(1, 100).build();
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//!
//! let held: Vec<_> = (0..5).flat_map(|_| limiter.try_acquire([&db])).collect();
//! assert_eq!(held.len(), 4);
//! assert!(limiter.request([&db]).priority(100).try_acquire().is_ok());
//! ```
//!
//! [Guide](super) · Next: [overload](super::overload)
