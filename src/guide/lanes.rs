//! Shares of a resource for tenants, users or kinds of work, and reserved units.
//!
//! Lanes divide a resource between groups of requests. While there is room, any lane may use all of
//! it. When requests wait, each lane is served in proportion to its weight.
//!
//! # A lane for each tenant
//!
//! With [`Lanes::keyed`](crate::Lanes::keyed), each key has a lane. Here all tenants together have
//! 20 units, and each tenant gets an equal share as soon as requests wait:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, routing::get};
//! # use tower_concurrency_limiter::{Lanes, Limiter, Resource};
//! let api = Resource::builder("api")
//!     .concurrency(20)
//!     .lanes(Lanes::keyed(1_000))
//!     .build();
//! let limiter = Limiter::new(Duration::from_secs(5), [&api]);
//!
//! // the gateway in front has authenticated the tenant, and sets the header
//! let by_tenant = limiter.resources([&api]).lane(|request| request.headers().get("x-tenant").into());
//! # async fn query() {}
//! let app: Router = Router::new().route("/query", get(query)).route_layer(by_tenant);
//! # }
//! ```
//!
//! A tenant that sends a hundred times its share gets what the others leave, and waits behind
//! itself. The queue bound is one for all lanes: when the queue is full, the youngest waiter of the
//! tenant with the most waiters makes room for a tenant with fewer.
//!
//! If more keys are active than the table has lanes, some keys share a lane. Make the table larger
//! than the number of tenants that are active at the same time.
//!
//! # Declared lanes
//!
//! [`Lanes::shared`](crate::Lanes::shared) declares lanes by name. The first lane is also that of
//! requests without a lane. [`Lane::weight`](crate::Lane::weight) sets the share,
//! [`Lane::max`](crate::Lane::max) an upper bound. [`Lanes::strict`](crate::Lanes::strict) divides
//! the resource into fixed portions that do not lend to each other.
//!
//! # Reserves
//!
//! A reserve is a number of units that a lane can always get. Here reports may use the whole
//! database except for two units, so that two interactive requests never wait for a report to end:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, routing::get};
//! # use tower_concurrency_limiter::{Lane, Lanes, Limiter, Resource};
//! let db = Resource::builder("db")
//!     .concurrency(10)
//!     .lanes(Lanes::shared([
//!         Lane::new("batch"), // the first lane is the default
//!         Lane::new("interactive").weight(4).reserve(2),
//!     ]))
//!     .build();
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! # async fn page() {}
//! # async fn report() {}
//! let app: Router = Router::new()
//!     .route("/page", get(page).route_layer(limiter.resources([&db]).lane(|_| "interactive".into())))
//!     .route("/report", get(report).route_layer(limiter.resources([&db])));
//!
//! let reports: Vec<_> = (0..8).flat_map(|_| limiter.try_acquire([&db])).collect();
//! assert!(limiter.try_acquire([&db]).is_err()); // two units are idle, and reserved
//! assert!(limiter.request([&db]).lane("interactive").try_acquire().is_ok());
//! # assert_eq!(reports.len(), 8);
//! # }
//! ```
//!
//! A reserve is a minimum, not an addition: units that the lane holds count against it. While two
//! interactive requests run, no unit is left idle for them. The price of a reserve is what lies
//! idle, so reserve what must never wait, and leave the rest to weights.
//!
//! [`ResourceBuilder::reserve`](crate::resource::ResourceBuilder::reserve) reserves units for a
//! priority and above, without lanes. Only units are reserved; rates still apply.
//!
//! # Limits of lanes
//!
//! * **Keys from clients.** A client that can make up keys gets a share for each of them, and a key
//!   equal to the name of a declared lane is in that lane. Take keys from what was authenticated;
//!   an outer layer can put them into the [extensions](crate::middleware::RequestHead::extensions)
//!   of the request.
//! * **Reserves and strict lanes.** A strict portion is a reserve already. A reserve on top of it
//!   takes units from the portions of other lanes, which cannot get them elsewhere.
//! * **Wide claims.** A claim above the `max` or the strict portion of its lane, or above what
//!   reserves leave, waits until its deadline unless the rule is changed meanwhile. It [blocks
//!   nothing](super::ordering#at-one-resource). At start-up only the limit is checked, because the
//!   lane and the priority are known with the request.
//!
//! [Guide](super) · Next: [priorities](super::priorities)
