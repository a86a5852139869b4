//! What a process and the scripts say to each other.

use std::fmt;

/// Microseconds of the server's clock.
pub(super) type Micros = u64;

/// A lane, by a hash of its name or key that all processes agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LaneToken(pub(super) u64);

impl LaneToken {
    /// The lane of those who ask for none of the declared ones.
    pub(super) const OTHERS: Self = Self(u64::MAX);
}

impl fmt::Display for LaneToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What units are held as. A resource without lanes has none here; one without reserves by priority
/// has no priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class {
    pub(super) lane: Option<LaneToken>,
    pub(super) priority: Option<u8>,
}

/// The rules of a resource, as every process that names it should know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Of two configurations the higher revision counts.
    pub(super) revision: u64,
    pub(super) limit: u32,
    pub(super) max_waiting: u64,
    /// For how long a waiter can be overtaken by priority, if not until its deadline.
    pub(super) credit: Option<Micros>,
    pub(super) lanes: Vec<LaneConfig>,
    /// A lane of this kind for each key, and at most so many of them.
    pub(super) keyed: Option<(LaneConfig, u32)>,
    pub(super) reserves: Vec<ReserveConfig>,
    pub(super) rates: Vec<RateConfig>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LaneConfig {
    pub(super) token: LaneToken,
    /// Up to 2^20.
    pub(super) weight: u32,
    /// What it may use at once: its `max`, or its strict portion.
    pub(super) cap: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReserveConfig {
    pub(super) units: u32,
    pub(super) whose: Whose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Lane(LaneToken),
    /// This priority and above.
    Priority(u8),
}

/// At most [`RATES`](super::script::RATES) of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateConfig {
    pub(super) by_load: bool,
    pub(super) count: u64,
    pub(super) period: Micros,
    /// `None`: any window.
    pub(super) burst: Option<u64>,
}

/// The timing of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) heartbeat: Micros,
    pub(super) lease: Micros,
    /// For how long nothing is granted when the state turns out to be new or lost.
    pub(super) cold_start: Micros,
    /// Whether a session whose channel nobody listens to is dead: not on a cluster.
    pub(super) fast_death: bool,
}

/// The first words of a session on a new connection, or after it was told to say them.
#[derive(Clone, Debug)]
pub(super) struct Attach<'a> {
    pub(super) session: &'a str,
    pub(super) operation: u64,
    /// Of the server, as the connection found it.
    pub(super) run_id: &'a str,
    /// The last one that the session knew; 0 if none.
    pub(super) epoch: u64,
    pub(super) config: &'a Config,
    pub(super) timing: Timing,
    /// All that the session holds.
    pub(super) held: &'a [(Class, u32)],
    /// All that wait in it: with their old places.
    pub(super) waiters: &'a [WaitsStill],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitsStill {
    pub(super) ask: Ask,
    /// Its place in the order of arrival; `None` if it never had one.
    pub(super) sequence: Option<u64>,
    /// For how long it has waited.
    pub(super) waited: Micros,
}

/// A session's word: what it gives back, what it wants. Empty, it is a heartbeat.
#[derive(Clone, Debug)]
pub(super) struct Operation<'a> {
    pub(super) session: &'a str,
    /// One more than the last. The same again is answered with the same reply.
    pub(super) operation: u64,
    pub(super) epoch: u64,
    pub(super) timing: Timing,
    /// The last [`Push`](Granted::push) that it has seen.
    pub(super) acknowledged: u64,
    pub(super) returned: &'a [(Class, u32)],
    pub(super) settled: &'a [Settled],
    pub(super) cancelled: &'a [u64],
    pub(super) asks: &'a [Ask],
    /// Units to hold idle, if nobody wants them.
    pub(super) spare: &'a [(Class, u32)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// The session's own number for it.
    pub(super) id: u64,
    pub(super) class: Class,
    pub(super) priority: u8,
    pub(super) units: u32,
    pub(super) load: u64,
    /// How long it may wait. 0: not at all.
    pub(super) patience: Micros,
    /// Instead of the resource's bound.
    pub(super) max_waiting: Option<u64>,
}

/// What a grant spent of the rates at `at` as `load` was `actual`; `None`: nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) at: Micros,
    pub(super) load: u64,
    pub(super) actual: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Done(Done),
    /// The session is unknown here, or of an old epoch: attach.
    AttachFirst,
    /// A later operation of this session was here before.
    Stale,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) epoch: u64,
    pub(super) now: Micros,
    /// Until when nothing is granted.
    pub(super) learning_until: Option<Micros>,
    pub(super) limit: u32,
    pub(super) in_use: u64,
    pub(super) waiting: u64,
    pub(super) sessions: u64,
    /// Of the configuration in force, and whether it is the session's own.
    pub(super) revision: u64,
    pub(super) is_own_config: bool,
    /// All that was pushed to the session up to this one is known with this reply: to be
    /// acknowledged.
    pub(super) pushed: u64,
    /// When a rate lets the first in line go, and whether that one is of this session.
    pub(super) next: Option<(Micros, bool)>,
    /// Granted to waiters and arrivals of this session, in order.
    pub(super) granted: Vec<Granted>,
    /// Those who wait from now on, with their places in the order of arrival.
    pub(super) queued: Vec<(u64, u64)>,
    pub(super) refused: Vec<(u64, Refusal)>,
    /// The session was thought dead: what it holds may have been granted to others.
    pub(super) was_lost: bool,
    /// What was added to what the session holds idle.
    pub(super) spare: Vec<(Class, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) id: u64,
    /// Grows with every grant of the epoch.
    pub(super) sequence: u64,
    pub(super) at: Micros,
    /// The load that was charged.
    pub(super) load: u64,
    /// Its number among those that were pushed to the session, if it was.
    pub(super) push: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No time, or no more of it.
    Timeout {
        next: Option<Micros>,
    },
    Full {
        next: Option<Micros>,
    },
    /// It gave way.
    Shed,
}
