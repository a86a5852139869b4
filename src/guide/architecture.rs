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
//! 1. **Set.** `limiter.resources([..])` checks the set once, when the layer is built.
//! 2. **Request.** One struct describes a request on its whole way: the set, its attributes
//!    (priority, lane, load, deadline) and how it waits. The middleware fills it from the request
//!    head.
//! 3. **Fast path.** The request enters `core` once. If its resources have a limit and nothing
//!    else, and no request waits for them, it acquires its units by one atomic operation per
//!    resource.
//! 4. **Plain queue.** Otherwise it waits. While all waiters of such a resource claim this resource
//!    alone, with default attributes, they wait in a FIFO of the resource with a lock of its own.
//!    Waiters are numbers: a release raises the number below which all are decided, and writes
//!    nothing per waiter.
//! 5. **General queue.** For everything else, `core` passes the request to the queue of `admission`
//!    under the limiter's lock. The first such request moves the waiters of a plain queue there, in
//!    order. The answer is granted, queued or refused.
//! 6. **Grant.** A grant is an RAII value, `Granted`: dropping it releases its units, whichever
//!    future holds it at that moment. A [`Permit`](crate::Permit) contains it.
//! 7. **Dispatch.** A release, a deadline, a drop or a change of a limit lets `admission` decide
//!    again. `core` writes the results to the waiters and runs their wakers after the lock is
//!    released.
//! 8. **Refusal.** One enum `Refusal` in `admission` describes why a request was not admitted. It
//!    is mapped once, to the public [`Reason`](crate::Reason), and `rejection` makes the response
//!    of it.
//!
//! # Where decisions are made
//!
//! | question | module |
//! |---|---|
//! | which waiter is next | `admission`: order, lanes, priorities, reserves |
//! | whether a rate allows a request | `admission`: windows and GCRA |
//! | when a queue sheds | `admission`: CoDel |
//! | whether the fast path may be used | `core` |
//! | when a deadline passes | `core`: one timer task per runtime |
//! | when a permit is released | `middleware`: at the head, at the body's end, or with the response |
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
