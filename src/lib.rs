//! Concurrency limits on named resources: a database, a disk, a paid API.
//!
//! A [`Resource`] has a limit on how much of it may be in use at once. A [`Limiter`] grants it, to requests
//! through a Tower [layer](ConcurrencyLimitLayer) and to other code through
//! [`acquire`](Limiter::acquire) and [`run`](Limiter::run). What does not fit waits in a queue that is
//! bounded in time and in length, and is then turned away with a `503`, which has
//! [`retry-after`](Rejection::retry_after) where the time is known.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use tower_concurrency_limiter::{Limiter, Resource};
//!
//! let db = Resource::new("db", 5);
//! let fs = Resource::new("fs", 10);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db, &fs]);
//!
//! # async fn messages() {}
//! # async fn file() {}
//! # async fn both() {}
//! let app: Router = Router::new()
//!     .route("/messages", get(messages).route_layer(limiter.resources([&db])))
//!     .route("/file", get(file).route_layer(limiter.resources([&fs])))
//!     .route("/both", get(both).route_layer(limiter.resources([&db, &fs])));
//! // the sixth concurrent request to /messages waits for up to 5 s, then gets 503; /file does not notice
//! # }
//! ```
//!
//! This page is the guide. It says what you can rely on, and what to look out for:
//! [words](#words), [rules](#rules-to-rely-on), [who goes next](#who-goes-next), [which knob](#which-knob)
//! to choose, what it [costs](#what-they-cost) and what [does not go together](#what-does-not-go-together),
//! [placement](#where-to-put-the-layer), [gRPC](guide::grpc), [clients that leave](#when-a-client-leaves),
//! [slow readers](#slow-readers), [testing](#testing), [waiting for oneself](#waiting-for-what-you-hold),
//! [runtimes](#runtimes), [logs](#what-it-logs), [mistakes](#mistakes-surface-at-start-up), an
//! [overload](#an-overload-with-and-without-a-limit) measured, and the
//! [plan of the house](#the-house) for those who read the source.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | resource | a named thing with a finite limit; a cheap handle, shared by any number of routes |
//! | limit | how many units may be in use at once |
//! | claim | what one request takes of one resource: 1 unit, or [`units(n)`](Resource::units) |
//! | set | the claims of one request, granted all together or not at all |
//! | limiter | the resources of a service in their canonical order, with a timeout, a queue bound and a refusal |
//! | permit | ownership of a granted set; dropping it returns the set |
//! | waiter | a queued request; it holds nothing |
//! | deadline | arrival plus timeout, one for the whole set |
//! | rate | how many requests may be admitted in a time, in addition to the limit or instead of one |
//! | load | what a request counts as under a load rate: tokens, bytes, rows; 1 unless it says so |
//! | lane | those of a resource's requests that share one portion of it |
//! | priority | how urgent a request is within its lane, 0 to 255, higher first; 10 unless it says so |
//! | credit | for how long a waiter can be overtaken by priority, where [ageing](limiter::LimiterBuilder::priority_credit) is turned on; until its deadline where it is not |
//! | reserve | units that some requests can always get |
//! | shared limit | one limit for all processes that name the resource, kept by a server |
//! | rejection | why a request was turned away, at which resource, after how long |
//!
//! # Rules to rely on
//!
//! * **One limit.** It is the resource's. How often a layer is cloned or applied, and on how many
//!   connections, does not matter.
//! * **A set is granted all together or not at all**, at one instant. A waiter holds nothing. So sets
//!   cannot deadlock in whatever order they are written, and a request that waits for a stuck `fs` does not
//!   block an idle `db`.
//! * **A permit lasts as long as the work**: by default until the response body has ended, failed or been
//!   dropped. [`release_at_head`](ConcurrencyLimitLayer::release_at_head) ends it with the response head;
//!   [`expose_permit`](ConcurrencyLimitLayer::expose_permit) lets the handler move it into
//!   `spawn_blocking`, `spawn` or an upgraded connection, which outlive the request.
//! * **Both bounds are always there**: the time in the queue
//!   ([5 s](limiter::DEFAULT_TIMEOUT) unless you say otherwise) and its length
//!   ([1,024 requests](limiter::DEFAULT_MAX_WAITING) per resource). A request that waits for a set counts
//!   at each of its resources.
//! * **A request past its deadline is never run**, whether it has waited for its turn or for a service that
//!   gets ready. If its turn and its deadline come at the same instant, it runs.
//! * **A rejection says when to come back.** The `503` has the header `retry-after` if the time is known:
//!   when the queue has drained, at the pace at which it does, or when a rate allows the request. Clients
//!   are spread over some time after that, so that they do not all come back at once. See
//!   [`Rejection::retry_after`].
//! * **Nothing is lost.** Finish, error, panic, a dropped future: the units come back, and go to the next
//!   in line at once. Nobody is let in above the limit in force, and no waiter sleeps while its set fits.
//! * **The rest of the service is left alone.** `poll_ready` only forwards, the inner service's errors stay
//!   what they are, and what is not limited does not wait.
//! * **Room costs next to nothing.** Where a resource has a limit and nothing else, a request that fits
//!   takes no lock, reads no clock and starts no timer. The [other knobs](#what-they-cost) have a price.
//!
//! # Who goes next
//!
//! A request is let in when everything that it asks for is there: its units at every resource of its set,
//! room in its lane, and room under every rate. All of it is decided in one step, and who is not let in has
//! spent nothing. Who has to wait takes its place when its future is first polled; the deadline counts from
//! the call of a limited service, and from the first poll of [`acquire`](Limiter::acquire).
//!
//! At one resource, this is the order:
//!
//! 1. The **lane** that has been given least for its weight goes first. A resource without lanes is one lane.
//! 2. In a lane, the higher **priority** goes first; it is 10 for those who do not say. A waiter can be
//!    overtaken until its deadline, or, with a [credit](limiter::LimiterBuilder::priority_credit), until it
//!    has waited for that long.
//! 3. Among equals it is **first come, first served**, whatever number of units they claim.
//!
//! Whoever is first and lacks room keeps everybody later from that resource, so that a request for 3 units
//! is not starved by a stream of requests for 1, nor one that waits for a rate by a stream of small ones.
//! There are three exceptions. What is [reserved](#reserves) for a request it can have past others. A lane
//! that has all it may have, by its `max` or its strict portion, keeps nobody in other lanes. And a request
//! that claims more than it can have, whatever is returned, blocks nothing: more units than the limit in
//! force (a limit can be [lowered](#while-it-runs) while it waits), than its lane may use, or than reserves
//! leave. It stands aside until the limit or the rule changes, and then takes its place by its priority and
//! its arrival, or until its deadline. Meanwhile it counts as a waiter, and later requests pass it.
//!
//! Between requests for different sets, two more rules decide:
//!
//! 4. Where a request lacks nothing, it stands in nobody's way. While one for `db` and `fs` waits for `fs`,
//!    later ones pass it at `db`.
//! 5. That alone could starve a set: `db` is free while others use `fs`, then `fs` is free while others use
//!    `db`. The first waiter for a set that is passed by turns, for lack of the one and then of the other,
//!    16 times, has its units set aside wherever it waits: later ones get what is left beside them.
//!
//! A waiter that lacks the same resource all along is never passed by turns. However long `fs` is stuck,
//! those who wait for it together with `db` do not keep `db` from others.
//!
//! Who leaves, by its deadline or because it was dropped, makes room for those behind it at once. Two more
//! may have to leave the queue before their deadline ([`Reason::Shed`]). When the queue is full, the youngest
//! of the lowest priority gives way to a request of a higher one; between lanes, that of the lane with most
//! waiters for its weight, to a request of a lane with fewer, whatever the priorities. And in
//! [overload mode](#overload-mode) it is the oldest.
//!
//! # Which knob
//!
//! None of them is needed. A limit with a queue and a deadline is right for most resources; add what you can
//! say why you need.
//!
//! | knob | choose it when | what it does not do |
//! |---|---|---|
//! | [`rate`](resource::ResourceBuilder::rate), [`load_rate`](resource::ResourceBuilder::load_rate) | somebody counts: an API by the minute, a provider by the token | slow down with the resource, as a limit does; count what other processes send |
//! | [`Lanes::shared`] | several groups want the resource, and each is to have its share of it | bound the queue of each: [`max_waiting`](resource::ResourceBuilder::max_waiting) is the resource's, and the longest gives way |
//! | [`Lanes::keyed`] | the groups are not known beforehand: tenants, users, API keys | tell real keys from made-up ones |
//! | [`Lanes::strict`] | what a group gets must not depend on the others | use what is idle |
//! | [`Lane::max`] | one group must never take more | use what is idle |
//! | [`Lane::reserve`], [`reserve`](resource::ResourceBuilder::reserve) | some requests must not wait for others to finish | serve more of them at once than it holds units |
//! | [`priority`](ConcurrencyLimitLayer::priority) | some requests in the same queue are more urgent | interrupt what runs; leave anything to the others while it is enough to fill the resource |
//! | [`overload`](resource::ResourceBuilder::overload) | clients give up before the timeout, or nobody knows when | keep the order of arrival |
//! | [`fail_fast_deadline`](ConcurrencyLimitLayer::fail_fast_deadline) | the caller says how long it will wait | foresee more than those ahead in its own lane and the pace of the queue |
//! | [`reject_with_too_many_requests`](limiter::LimiterBuilder::reject_with_too_many_requests) | the rate is a promise to clients, who know 429 | say 429 to those who gave way ([`Reason::Shed`]), whatever kept them |
//! | [`set_limit`](Resource::set_limit) and its kind | an operator, a timetable or a pool decides while the server runs | take a permit from anybody |
//! | [`adaptive`](resource::ResourceBuilder::adaptive) | all traffic to the resource is yours, and its capacity moves or is not known | know why the resource is slow |
//! | [sharing](#shared-limits) | several processes use the resource | outlive a pause or a failover without a surplus |
//! | [`dry_run`](resource::ResourceBuilder::dry_run) | before a limit is enforced | protect the resource |
//!
//! ## What they cost
//!
//! A resource that has a limit and nothing else is taken and returned by an atomic operation each, while
//! nobody waits for it: no lock, no clock, no allocation. What requests say of themselves (priority,
//! deadline, load), the timeout, the bound of the queue and changes of the limit leave that as it is. The
//! closures of a layer are called for every request.
//!
//! A resource with rates, lanes, reserves, overload mode, an adaptive limit or a dry run has to see everybody.
//! Each request goes by way of the queue's lock, and so does its return; the clock is read at both, and two
//! small allocations hold its place and what is remembered of the grant. A set with one such resource goes that
//! way as a whole. The lock is the limiter's, and held for a decision, never for work. Other resources of
//! the same limiter stay on the short way.
//!
//! What a decision costs grows with the waiters and the lanes by their logarithm at most. Where different
//! sets of several resources wait at the same time, it grows with their number, too; the same set in
//! another lane counts as another. In memory, a lane takes about 250 bytes, a
//! rate up to 8 KiB, an adaptive limit some 100 bytes.
//!
//! ## What does not go together
//!
//! * **Overload mode and order.** While the queue stands, the newest of each priority goes first and nothing
//!   ages. Work that has to be done in order needs another queue. With a timeout well below the clients'
//!   patience, overload mode gains nothing.
//! * **A reserve and strict lanes.** A strict portion is a reserve already. One on top of it takes units
//!   from the portions of the others, which cannot get them elsewhere.
//! * **An adaptive limit and others who use the resource**, such as another process of the same service. It
//!   takes their load for its own doing, and yields.
//! * **An adaptive limit and `set_limit`**: the next permit that ends sets it back. **And a reserve**: that
//!   stays as it is when the limit falls, so the floor has to be above what is reserved. **And wide claims**:
//!   a claim above the floor is refused at start-up.
//! * **Ageing and an overload.** With a credit below the time for which the queue stands, every waiter has
//!   aged, and an urgent request waits behind all of them; see [priorities](#priorities).
//! * **A plain rate with a huge count or a long period.** The whole count may pass in the first moment, and then
//!   nothing until the period is over. Say a second rate for the pace (`per_second` beside `per_hour`), or
//!   [`burst(n)`](Rate::burst). A busy rate of more than 120 may also fall short of its count by 1 %.
//! * **A rate and a long queue.** Who waits for a rate of a few per hour waits until its deadline, for nothing.
//!   With a timeout of zero it is rejected at once ([`Reason::NotNow`]), with the time at which the rate allows
//!   it in `retry-after`.
//! * **Priorities, lanes and loads from the headers of clients.** Who may say 200 says 200. Who can make up
//!   keys has a share for each, and a key that is the name of a declared lane is in that lane. Take them
//!   from what was authenticated: an outer layer can put it into the
//!   [extensions](middleware::RequestHead::extensions).
//! * **Wide claims, lanes and reserves.** A claim wider than the `max` or the strict portion of its lane, or
//!   than what is not reserved for others, waits until its deadline, unless that is changed meanwhile. It
//!   blocks nothing. Only the limit is checked at start-up, as the lane and the priority are not known before
//!   the request comes.
//! * **Several processes.** Limits, rates and lanes are those of one process: with four of them, each gets a
//!   quarter. Or [share](#shared-limits) them.
//!
//! ## Rates
//!
//! An API that is paid by the minute, by the token, and does badly with more than ten at once:
//!
//! ```
//! use std::time::Duration;
//! use tower_concurrency_limiter::{Limiter, Rate, Rejection, Resource};
//!
//! # struct Answer { text: String, tokens_used: u64 }
//! # async fn ask(prompt: &str) -> Answer { Answer { text: prompt.to_owned(), tokens_used: 7 } }
//! fn models() -> Resource {
//!     Resource::builder("models")
//!         .concurrency(10)
//!         .rate(Rate::per_minute(500)) // requests
//!         .load_rate(Rate::per_minute(90_000)) // tokens
//!         .build()
//! }
//!
//! async fn chat(limiter: &Limiter, models: &Resource, prompt: &str) -> Result<String, Rejection> {
//!     let estimate = 1_000 + prompt.len() as u64 / 4; // the longest answer, and the prompt
//!     let request = limiter.request([models]).load(estimate).timeout(Duration::from_secs(20));
//!     let mut permit = request.acquire().await?; // waits while any of the three would be exceeded
//!     let answer = ask(prompt).await;
//!     permit.settle_load(answer.tokens_used); // the rest of the estimate goes back
//!     Ok(answer.text)
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Rejection> {
//! # let models = models();
//! # let limiter = Limiter::new(Duration::from_secs(5), [&models]);
//! # assert_eq!(chat(&limiter, &models, "hello").await?, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! `Rate::per_minute(500)` means no more than 500 in any 60 seconds, wherever they start.
//! To protect something of your own from lumps, choose [`burst`](Rate::burst) or [`smooth`](Rate::smooth):
//! [`Rate`] has the table. A rate counts requests, whatever number of units they claim. What was admitted has
//! been spent, even if the work fails; a load can be taken back by `settle_load(0)`.
//!
//! ## Lanes
//!
//! Twenty at once for all tenants together. Each has its share as soon as there is more to do than that:
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
//! A tenant that asks for a hundred times its share gets what the others leave, and waits behind
//! itself. The bound on the queue is one for all lanes: when it is full, the youngest of the tenant with most
//! waiters makes place for one with fewer. Should more keys be in use than the table holds, some of them share
//! a lane, and with it their fate: make it larger than the number of tenants that are active at once.
//!
//! ## Reserves
//!
//! Reports may use the whole database while nobody else does, except for two units: two people before a
//! screen never wait for a report to end.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, routing::get};
//! # use tower_concurrency_limiter::{Lane, Lanes, Limiter, Resource};
//! let db = Resource::builder("db")
//!     .concurrency(10)
//!     .lanes(Lanes::shared([
//!         Lane::new("batch"), // the first one is also for all who do not say
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
//! assert!(limiter.try_acquire([&db]).is_err()); // two are idle, and not for reports
//! assert!(limiter.request([&db]).lane("interactive").try_acquire().is_ok());
//! # assert_eq!(reports.len(), 8);
//! # }
//! ```
//!
//! A reserve is a least, not an extra: what its lane holds counts against it. While two interactive
//! requests or more are running, nothing is left idle.
//! [`ResourceBuilder::reserve`](resource::ResourceBuilder::reserve) does the same for a priority and above, without lanes. Its price is what lies idle: reserve what must
//! never wait, and leave the rest to weights.
//!
//! ## Priorities
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
//! A checkout goes before every waiter that browses, however long that has waited: it waits for a unit to be
//! returned, and for nothing else. What browses waits at most until its deadline. When the queue is full, a
//! checkout takes the place of the youngest request that browses. Priority compares requests of the same lane;
//! between lanes weights decide.
//!
//! Half a minute at twice the capacity (5 units, 100 ms of work each, 98 requests of priority 10 and two
//! urgent ones a second, a timeout of 5 s):
//!
//! | the urgent ones | their longest wait, if served | of them served | of the others served |
//! |---|---|---|---|
//! | have no priority | 4.95 s | 10 of 60 | 1,740 of 2,940 |
//! | have priority 200 | 10 ms | 60 of 60 | 1,690 of 2,940 |
//! | have priority 200, with a credit of 2 s | 4.95 s | 10 of 60 | 1,740 of 2,940 |
//!
//! As long as there are enough urgent requests to fill the resource, they are all it serves. If that is not
//! what you want, give them a [lane](#lanes) with a `max`, or turn ageing on:
//! [`priority_credit(d)`](limiter::LimiterBuilder::priority_credit) serves a request that has waited for `d`
//! before every one that has not. Choose it above the wait in an overload, or else all waiters age, and
//! priority decides nothing any more: that is the last line of the table.
//!
//! ## Overload mode
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Overload, Resource};
//! let db = Resource::builder("db")
//!     .concurrency(5)
//!     .overload(Overload::new().interval(Duration::from_millis(100)).target(Duration::from_millis(20)))
//!     .build();
//! let limiter = Limiter::new(Duration::from_secs(2), [&db]); // but many clients give up after one
//! ```
//!
//! In a lasting overload, first come, first served keeps everybody waiting for the whole timeout. Clients
//! that give up sooner are served when they have just left, and all the work is for nobody. Once the wait
//! has been above 20 ms for 100 ms, this queue serves the newest of each priority first, who are still
//! there, and sheds the oldest of all, faster and faster. When the wait is below 20 ms again, the order of
//! arrival is back. Peaks shorter than that are queued as ever. See [`Overload`] for the sources.
//!
//! Where callers say how long they wait, [`fail_fast_deadline`](ConcurrencyLimitLayer::fail_fast_deadline) is more exact: a
//! request that cannot be served in time is rejected on arrival ([`Reason::WouldTimeOut`]).
//!
//! ## While it runs
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Rate, Resource};
//! # fn main() -> Result<(), tower_concurrency_limiter::resource::InvalidResource> {
//! let db = Resource::builder("db").concurrency(5).rate(Rate::per_second(50)).build();
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//!
//! db.set_limit(8)?; // three waiters go at once, in order
//! db.set_limit(2)?; // nobody is interrupted; the next one goes when fewer than two are in use
//! db.set_limit(0)?; // pause: all wait
//! db.set_rate(Rate::per_second(80))?; // what was spent under the old one still counts
//! # Ok(())
//! # }
//! ```
//!
//! A waiter that claims more units than a lowered limit has stands aside: others pass it, until the limit is
//! raised again.
//!
//! Lanes and reserves change by [`set_lane`](Resource::set_lane) and
//! [`set_reserve`](Resource::set_reserve), the load rate by [`set_load_rate`](Resource::set_load_rate). They
//! change what the resource was built with, and cannot add a rate, a lane or a reserve. Only the limit can be
//! changed before the resource is registered with a limiter.
//!
//! ## Shutting down
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod example {
//! use std::{io, time::Duration};
//! use axum::Router;
//! use tokio::{net::TcpListener, signal, time::timeout};
//! use tower_concurrency_limiter::Limiter;
//!
//! async fn serve(listener: TcpListener, app: Router, limiter: Limiter) -> io::Result<()> {
//!     let closing = limiter.clone();
//!     let stop = async move {
//!         let _ = signal::ctrl_c().await;
//!         closing.close(); // who waits is told at once, who runs is left alone
//!     };
//!     axum::serve(listener, app).with_graceful_shutdown(stop).await?;
//!     // connections are done; permits may have moved on, into `spawn_blocking`
//!     let _ = timeout(Duration::from_secs(10), limiter.drained()).await;
//!     Ok(())
//! }
//! # }
//! ```
//!
//! Without [`close`](Limiter::close) a server that shuts down waits for its queue, too. Closing is for good,
//! and for all resources of the limiter; requests that a layer lets
//! [past](ConcurrencyLimitLayer::bypass) the limit, such as health checks, are still answered.
//! [`drained`](Limiter::drained) alone closes nothing: it waits for a moment in which nothing is held.
//!
//! ## Shared limits
//!
//! With the feature `redis`, one limit holds across all processes that name it, on Redis or Valkey:
//!
//! ```no_run
//! # #[cfg(feature = "redis")] mod example {
//! use std::time::Duration;
//! use tower_concurrency_limiter::{Limiter, Resource, redis::RedisBackend};
//!
//! # async fn start() -> Result<Limiter, Box<dyn std::error::Error>> {
//! let backend = RedisBackend::connect("redis://127.0.0.1:6379").await?;
//! let postgres = Resource::builder("postgres").concurrency(10).shared(&backend).build();
//! let fs = Resource::new("fs", 10); // each process has its own disk
//! let limiter = Limiter::new(Duration::from_secs(5), [&postgres, &fs]);
//! # Ok(limiter)
//! # }
//! # }
//! ```
//!
//! The layer, the queue, rates, lanes and priorities are the same. What differs: it costs a round trip, it holds by
//! lease, a set is acquired in a documented order instead of at one instant, and the server may be away. The
//! module [`redis`](https://docs.rs/tower-concurrency-limiter/latest/tower_concurrency_limiter/redis/) says what is
//! promised, and what is not.
//!
//! ## Adaptive limits
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! # use std::time::Duration;
//! # use axum::{Router, http::StatusCode, routing::get};
//! # use tower_concurrency_limiter::{Limiter, Resource};
//! use tower_concurrency_limiter::adaptive::{Aimd, Outcome};
//!
//! // ours alone; it answers within 200 ms on a quiet day, and 503 when it has too much
//! let search = Resource::builder("search")
//!     .adaptive(Aimd::between(4, 200).start(20).timeout(Duration::from_secs(1)).build())
//!     .build();
//! let limiter = Limiter::new(Duration::from_secs(2), [&search]);
//!
//! # async fn find() {}
//! let limit = limiter.resources([&search]).classify(|head| match head.map(|head| head.status()) {
//!     Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => Outcome::Overload,
//!     Some(StatusCode::BAD_REQUEST) => Outcome::Ignore, // it was never asked
//!     _ => Outcome::Success,
//! });
//! let app: Router = Router::new().route("/search", get(find)).route_layer(limit);
//! # }
//! ```
//!
//! Without `classify` every response is a success, even a 503 by which the resource refuses work; the
//! closure sees the [head](middleware::ResponseHead) of the response, so also a gRPC status in it. A
//! request whose client leaves counts as well: a permit held longer than the timeout of [`Aimd`](adaptive::Aimd)
//! is overload, dropped or not. A permit is timed until it is returned, by default at the end of the body:
//! where clients read slowly, use [`release_at_head`](ConcurrencyLimitLayer::release_at_head), or their
//! lines are measured instead of the resource. A request may claim as much as the floor at most, here 4
//! units. Read [`adaptive`] before you choose one.
//!
//! ## Dry run
//!
//! A resource built with [`dry_run`](resource::ResourceBuilder::dry_run) keeps nobody. The same decisions are made for it, and told as
//! [events](observe) with the field `dry_run`. What would have waited goes to work at once, and is taken to
//! need as long as it does under the load without a limit: what the limit would save is not in the forecast.
//! `in_use` may exceed the limit.
//!
//! # Where to put the layer
//!
//! On a route, a router, a handler, in a `ServiceBuilder`, or around a service: the page
//! [`guide::placement`] has a table of what each limits, and of the layers that it stacks with;
//! [`guide::services`] is about clients, proxies and services of other requests, [`guide::grpc`] about
//! what rejected gRPC calls get.
//!
//! # When a client leaves
//!
//! Dropping a queued request gives up its place; dropping a running one drops its work and returns its
//! permit. With hyper that happens when hyper notices:
//!
//! | request | its handler is dropped |
//! |---|---|
//! | HTTP/1, without a body or with a small one that was read | within milliseconds |
//! | HTTP/1, with a pipelined request behind it, 64 KiB or more of its body unread, or a body that is not finished | not while it waits |
//! | HTTP/2, stream reset | at once |
//!
//! So for uploads only the deadline and the queue bound clear the queue of the dead, and the timeout
//! should be shorter than the clients' patience.
//!
//! Work that was handed to another thread or task goes on when its request is dropped. Move the permit along
//! with it, or each client that leaves frees units that are still in use:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use tower_concurrency_limiter::PermitHandle;
//!
//! // on a route with `limiter.resources([&db]).expose_permit()`
//! async fn report(permit: PermitHandle) -> String {
//!     let permit = permit.take();
//!     let query = tokio::task::spawn_blocking(move || {
//!         let _permit = permit;
//!         "rows".to_owned()
//!     });
//!     query.await.unwrap_or_default()
//! }
//! # }
//! ```
//!
//! # Slow readers
//!
//! A client that reads a long body slowly, or sends one slowly, holds its permit as long as it likes. The
//! page [`guide::slow_peers`] says where that matters and what to do, also for HTTP/2.
//!
//! # Testing
//!
//! Time can be paused, and a response that a test keeps unread holds its permit: see
//! [`guide::testing`].
//!
//! # Waiting for what you hold
//!
//! A handler that holds a unit of `db` and acquires another one, or calls its own limited route, may wait
//! for itself: if all units are held by handlers that do so, they all wait until their deadlines. The same
//! goes for one that holds `db` and acquires `fs` while another holds `fs` and acquires `db`. The deadline
//! ends it, but the time is lost. Name everything in one set, with [`units`](Resource::units) for more
//! than one, or pass the permit on.
//!
//! Debug builds warn when a request queues for what the code around it holds, in the same task and without
//! [`expose_permit`](ConcurrencyLimitLayer::expose_permit). A call to the own route over the network
//! cannot be seen.
//!
//! A future that is not polled holds its set as well. The queue grants a set to a waiter, not to a task
//! that runs: from that moment the units are taken, also past the deadline, until the future is polled
//! or dropped. If its task waits for the same resource elsewhere, it waits for itself. That happens where
//! one task polls several futures by turns: in the body of a `select!` loop, behind a `join!` with code
//! that blocks, and between two items of a stream with `buffer_unordered`:
//!
//! ```
//! use std::time::Duration;
//! use futures_util::{StreamExt, stream};
//! use tower_concurrency_limiter::{Limiter, Reason, Rejection, Resource};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Rejection> {
//! # tokio::time::pause();
//! # async fn query(id: u32) -> u32 { tokio::task::yield_now().await; id }
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//!
//! let queries = stream::iter([1, 2]).map(|id| limiter.run([&db], move || query(id)));
//! let mut rows = queries.buffer_unordered(2);
//! let first = rows.next().await;
//! // The second query has been granted `db`, and does not run while `rows` is not polled.
//! let audit = limiter.acquire([&db]).await;
//! assert_eq!(audit.expect_err("5 s later").reason(), Reason::Timeout);
//! drop(rows); // returns what was granted
//!
//! // The cure: a task polls its future whatever others do.
//! let spawned = |id| tokio::spawn(limiter.run([&db], move || query(id)));
//! let mut rows = stream::iter([1, 2]).map(spawned).buffer_unordered(2);
//! let first = rows.next().await;
//! let audit = limiter.acquire([&db]).await?; // behind the second query, which runs
//! # let _ = (first, audit);
//! # Ok(())
//! # }
//! ```
//!
//! The other cures: do not wait for the resource in the body of such a loop (`for_each_concurrent` has no
//! body outside of the futures), or drop the futures that are not polled any more.
//!
//! # Runtimes
//!
//! Waiting needs a tokio runtime with time enabled; without one it panics, and says so. What fits at once
//! needs none, and neither does [`try_acquire`](Limiter::try_acquire).
//!
//! Several runtimes may share a limiter. All waiters in one runtime share one timer task, started by the
//! first and ended when nothing waits there. So a deadline depends on the waiter's own runtime alone: where
//! all workers compute, or a current-thread runtime is not driven, it passes late, and elsewhere it does
//! not. A future that is polled in another runtime later is timed there.
//!
//! In a runtime that shuts down, no timer runs. A request that waits there, with `block_on` in a
//! blocking thread, is rejected at once with [`Reason::Closed`], and so is a newcomer that would have to
//! wait. What fits is still granted. A future that moves on to a live runtime goes on waiting.
//!
//! A request that is decided by the first poll of [`acquire`](Limiter::acquire) or [`run`](Limiter::run)
//! takes part in tokio's cooperative budget, so that a loop of them lets other tasks run.
//!
//! After its grant, a request of a limited service waits until the inner service is ready, at most until its
//! deadline. Then it is rejected with [`Reason::Timeout`], and has spent nothing. A request that fits at
//! once is called at once: its caller has waited for readiness.
//!
//! Time is tokio's, so tests can pause it. A limiter in a `static` may be shared by tests that run one
//! after the other or side by side: each waits by the clock of its own runtime.
//!
//! ```
//! # use std::time::Duration;
//! # use tower_concurrency_limiter::{Limiter, Reason, Resource};
//! #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # tokio::time::pause();
//! let db = Resource::new("db", 1);
//! let limiter = Limiter::new(Duration::from_secs(5), [&db]);
//! let _held = limiter.try_acquire([&db]);
//!
//! let rejection = limiter.acquire([&db]).await.expect_err("the only unit is held");
//! assert_eq!(rejection.reason(), Reason::Timeout);
//! assert_eq!(rejection.waited().as_secs(), 5); // in no time, with `tokio::time::pause`
//! # }
//! ```
//!
//! # What it logs
//!
//! Events of the target `tower_concurrency_limiter`, through `tracing`; see [`observe`] for the list. A
//! request that is admitted at once logs nothing. To see why a request was slow or rejected, declare the
//! fields `limit.resource`, `limit.waited` and `limit.reason` on the request span, and the limiter records
//! them; other fields of the span are left alone:
//!
//! ```
//! use tracing::field::Empty;
//!
//! let span = tracing::info_span!(
//!     "request",
//!     limit.resource = Empty,
//!     limit.waited = Empty,
//!     limit.reason = Empty,
//! );
//! ```
//!
//! For metrics, an outer layer finds the [`Rejection`] in the extensions of the response;
//! [`Resource::in_use`] and [`Resource::waiting`] are gauges to sample.
//!
//! # Mistakes surface at start-up
//!
//! An impossible limiter or set panics where it is built, at the caller's line, and the message names the
//! cure:
//!
//! | mistake | the message says |
//! |---|---|
//! | a limit of 0, or above [`Resource::MAX_LIMIT`]; a rate out of range | what to pass |
//! | a resource without a limit, a rate or an adaptive limit | to set one |
//! | lanes with the same name, of weight 0, with a `max` of 0; strict and keyed ones; more reserved than there is | what to change |
//! | an empty or repeated name | to give each resource its own |
//! | another resource of a registered name | to pass a clone of the registered one |
//! | a resource of another limiter, or of none | to register it with this one |
//! | an empty set, a resource twice in it, a claim of 0 units or above the limit | what to claim |
//! | a claim above the floor of an adaptive limit, or as much reserved as its floor | to claim or reserve fewer, or to raise the floor |
//! | a set in another order than the resources were registered in | the right order, or [`allow_any_order`](limiter::LimiterBuilder::allow_any_order) |
//!
//! For values from a configuration there are twins that return an error:
//! [`ResourceBuilder::try_build`](resource::ResourceBuilder::try_build),
//! [`LimiterBuilder::try_build`](limiter::LimiterBuilder::try_build),
//! [`Limiter::try_resources`] and [`Limiter::try_request`].
//!
//! Layers keep their limiter alive; dropping the handle ends nothing.
//!
//! # An overload, with and without a limit
//!
//! 150 users come to a database that is good for 5, beside two users who read files, and most of them leave
//! again: what the example `overload` draws. Without a limit:
//!
#![doc = "<div style=\"overflow-x: auto\">"]
#![doc = include_str!("../docs/overload-unlimited.svg")]
#![doc = "</div>"]
//!
//! With a limit of 5 on the database:
//!
#![doc = "<div style=\"overflow-x: auto\">"]
#![doc = include_str!("../docs/overload-limited.svg")]
#![doc = "</div>"]
//!
//! # Features
//!
//! * `redis`: limits that are shared between processes; `redis-tls`: the same over TLS.
//! * `axum` (default): [`Rejection`] is an `IntoResponse`, so that a handler can write
//!   `limiter.acquire([&db]).await?`; [`PermitHandle`] is an extractor.
//!
//! # The house
//!
//! For those who read the source. Each line may use those below it, never one above; `adaptive`, `rejection`,
//! `observe`, `shared` and `sync` are beside the stairs.
//!
//! ```text
//! redis/        limits that are shared between processes, on Redis or Valkey: the client, and the scripts that decide
//!   |
//! middleware/   the Tower skin: layer, service, future, body; the only place that knows http::Request
//!   |
//! limiter/      the registry: sets checked, acquire, run, the ways in
//!   |
//! permit/       what the user holds, and the handle that hands it over
//!   |
//! gate/         the shell: a fast path of atomics, one lock, wakers, timers
//!   |
//! resource/     a named limit: builder, claim, lanes, rate, overload, live changes, gauges
//!   |
//! admission/    who goes next: queue, lanes, rates, overload, usage; no clock, no lock, no async, no I/O
//!
//! adaptive/     limits that move by what each permit tells; no clock, no I/O
//! rejection/    why not, and the 503; used by middleware, limiter and observe
//! observe/      what it logs; used by limiter
//! shared/       what a limit between processes does for the rest; used by permit, gate and resource
//! sync.rs       locks and atomics: std's, or loom's in its tests; used by gate and resource
//! guide/        pages of this guide; no code
//! ```
//!
//! A request comes in at the top. If its resources have nothing but limits and it fits, the gate takes its
//! units in the resources' atomics and nothing else happens. If not, the gate asks the queue of `admission`
//! under its lock, and wakes whom the queue names once the lock is released. The queue sees no clock and no
//! lock, so that tests can drive it against a sequential model; loom explores the gate through `sync`. What is shared
//! between processes is decided by scripts at the server, which tests drive against that same queue.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adaptive;
#[cfg(not(feature = "unstable-admission"))]
mod admission;
#[cfg(feature = "unstable-admission")]
#[doc(hidden)]
pub mod admission;
mod gate;
pub mod guide;
pub mod limiter;
pub mod middleware;
pub mod observe;
pub mod permit;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub mod redis;
pub mod rejection;
pub mod resource;
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "implemented by the feature `redis`")
)]
mod shared;
mod sync;

pub use limiter::Limiter;
pub use middleware::{ConcurrencyLimit, ConcurrencyLimitLayer};
pub use permit::{Permit, PermitHandle};
pub use rejection::{Reason, Rejection};
pub use resource::{Claim, Lane, LaneKey, Lanes, Overload, Priority, Rate, Resource};

/// Compiles the code of the README.
#[cfg(all(doctest, feature = "axum", feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;
