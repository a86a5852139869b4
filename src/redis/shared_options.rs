//! How a resource is shared.

use super::RedisBackend;

/// How one resource is shared between processes: by which [`RedisBackend`], and what to do when
/// that does not answer.
///
/// Made by [`RedisBackend::strict`] and [`RedisBackend::cached`]; `&backend` alone is the strict
/// one.
#[derive(Clone, Debug)]
#[must_use = "pass it to `ResourceBuilder::shared`"]
pub struct SharedOptions {
    pub(super) backend: RedisBackend,
    pub(super) is_cached: bool,
    pub(super) when_unavailable: WhenUnavailable,
    pub(super) revision: u64,
}

impl SharedOptions {
    pub(super) fn new(backend: &RedisBackend, is_cached: bool) -> Self {
        Self {
            backend: backend.clone(),
            is_cached,
            when_unavailable: WhenUnavailable::default(),
            revision: 0,
        }
    }

    /// What becomes of requests while the server does not answer. Default:
    /// [`LocalShare`](WhenUnavailable::LocalShare).
    pub fn when_unavailable(mut self, policy: WhenUnavailable) -> Self {
        self.when_unavailable = policy;
        self
    }

    /// The revision of what the builder says: raise it whenever you change the limit or the rules
    /// of the resource. Default: 0.
    ///
    /// During a deployment, processes with the old and with the new words share the resource: the
    /// higher revision counts for all. At the same revision, those count that are in force until
    /// the last process has left, and the difference is logged.
    pub fn revision(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }
}

impl From<&RedisBackend> for SharedOptions {
    fn from(backend: &RedisBackend) -> Self {
        backend.strict()
    }
}

impl From<RedisBackend> for SharedOptions {
    fn from(backend: RedisBackend) -> Self {
        backend.strict()
    }
}

/// What becomes of requests for a shared resource while the server does not answer.
///
/// Permits that are held stay held. Whatever is granted meanwhile is reported when the server is
/// back; if all processes together hold more than the limit then, nobody is granted anything until
/// that has been paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenUnavailable {
    /// They are turned away at once, with [`Reason::Unavailable`](crate::Reason::Unavailable). The
    /// limit holds.
    FailClosed,
    /// They are all let in. Choose it where the limit is a courtesy.
    FailOpen,
    /// They wait for the server until their deadline, and are then turned away with
    /// [`Reason::Unavailable`](crate::Reason::Unavailable). The limit holds.
    Wait,
    /// Each process limits itself to its share: the limit and the counts of rates divided by the
    /// number of processes at the last contact, at least 1; lanes, priorities and reserves by the
    /// units of the share. A claim that is wider than the share gets in when all of it is free. The
    /// limit is exceeded by that, if there are more processes than units, or if processes were
    /// started since.
    #[default]
    LocalShare,
}

impl std::fmt::Display for WhenUnavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FailClosed => "fail_closed",
            Self::FailOpen => "fail_open",
            Self::Wait => "wait",
            Self::LocalShare => "local_share",
        })
    }
}
