//! A map of the source, and the way of a request through it.
//!
//! # Modules
//!
//! Each module may use those below it, never one above it. The modules of the second block stand
//! beside these layers. A test checks both.
//!
//! ```text
//! redis/        distributed limits: the client of Redis or Valkey, and the scripts that decide
//!   |
//! middleware/   layer, options, service, future, body; the only module that handles http::Request
//!   |
//! limiter/      builder, checked sets, requests, acquire, run
//!   |
//! permit/       Permit, PermitHandle, fencing tokens
//!   |
//! core/         fast path, lock, grants, waiters, timers; carries out decisions
//!   |
//! resource/     a named limit: builder, claims, lanes, rates, changes at run time, gauges
//!   |
//! admission/    the decisions: queue, order, lanes, rates, overload; no clock, lock, async or I/O
//!
//! adaptive/     limits that move with the outcome of each permit; no clock, no I/O
//! rejection/    reasons, and the responses to rejected requests
//! observe/      events and span fields
//! shared/       what a distributed limit provides to permit, core and resource
//! sync          locks and atomics: those of std, or of loom in its tests
//! guide/        these pages
//! ```
//!
//! # The way of a request
//!
//! 1. **Set.** `limiter.resources([..])` checks the set once, when the layer is built
//!    (`limiter/set.rs`).
//! 2. **Request.** The middleware reads the attributes (priority, lane, load, deadline) from the
//!    request head. One struct, `WaitOptions`, describes what the request declares and how it
//!    waits.
//! 3. **Fast path.** If the resources of the set have a limit and nothing else, and no request
//!    waits for them, the units are acquired by one atomic operation per resource
//!    (`core/fast_path.rs`).
//! 4. **FIFO.** Otherwise the request enters `core/acquire.rs`. While all waiters of such a
//!    resource claim this resource alone, with default attributes, they wait in a FIFO with a lock
//!    of its own (`core/fifo.rs`). Waiters are numbers: a grant raises the number below which all
//!    are decided, and writes nothing per waiter.
//! 5. **General queue.** All other requests wait in the queue of `admission`, under the limiter's
//!    lock. The first one that needs a resource with a FIFO moves its waiters to the general queue,
//!    in order. The FIFO serves again when no request waits there.
//! 6. **Grant.** A grant is an RAII value, `Granted`: dropping it releases its units, whichever
//!    future holds it at that moment. A [`Permit`](crate::Permit) contains it.
//! 7. **Dispatch.** A release, a deadline, a drop or a change of a limit leads to further
//!    decisions. `core/dispatch.rs` writes the results to the waiters and calls their wakers after
//!    the lock is released.
//! 8. **Refusal.** One enum, `admission::Refusal`, describes why a request was not admitted. It is
//!    mapped once to the public [`Reason`](crate::Reason), and `rejection` makes the response of
//!    it.
//!
//! # Where decisions are made
//!
//! | question | module |
//! |---|---|
//! | which waiter is next | `admission`: order, lanes, priorities, reserves |
//! | whether a rate allows a request | `admission`: windows and GCRA |
//! | when a queue sheds | `admission`: CoDel |
//! | which queue a request joins | `core`: fast path, FIFO or general queue |
//! | when a deadline passes | `core`: one timer task per runtime |
//! | when a permit is released | `middleware`: with the head, the end of the body, or the response |
//! | what a rejected client receives | `rejection`; per route, `middleware` |
//! | the order between processes | the scripts of `redis`, by the rules of `admission` |
//!
//! # How it is tested
//!
//! `admission` has no clock and no lock, so property tests drive it against a sequential model, and
//! the simulator of the repository runs it in virtual time. loom explores `core` through `sync`:
//! the code that is shipped, not a copy. The scripts of distributed limits are tested against the
//! queue of `admission`.
//!
//! `CONTRIBUTING.md` in the repository lists the rules and the commands.
//!
//! [Guide](super)
