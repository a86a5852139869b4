//! What a request holds of a shared limit.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::Member;
use crate::{
    permit::Permit,
    redis::{
        protocol::{Ask, Class, Granted, Micros, Settled},
        term::Term,
    },
    shared::{FencingToken, Lease},
};

/// What a request holds of a shared limit.
pub(in crate::redis) struct RedisLease {
    member: Arc<Member>,
    term: Arc<Term>,
    class: Class,
    units: u32,
    /// The epoch and the number of the grant.
    token: Option<(u64, u64)>,
    /// When the rates were charged, and with what.
    charge: Option<(Micros, u64)>,
    /// Of the process's own share, while the server was away.
    local: Option<Permit>,
}

impl RedisLease {
    /// Granted by the server.
    pub(super) fn granted(
        member: &Arc<Member>,
        term: &Arc<Term>,
        epoch: u64,
        ask: &Ask,
        granted: &Granted,
    ) -> Self {
        Self {
            member: Arc::clone(member),
            term: Arc::clone(term),
            class: ask.class,
            units: ask.units,
            token: Some((epoch, granted.sequence)),
            charge: Some((granted.at, granted.load)),
            local: None,
        }
    }

    /// Of a chunk that was granted before.
    pub(super) fn cached(
        member: &Arc<Member>,
        term: &Arc<Term>,
        class: Class,
        units: u32,
        token: (u64, u64),
    ) -> Self {
        Self {
            member: Arc::clone(member),
            term: Arc::clone(term),
            class,
            units,
            token: Some(token),
            charge: None,
            local: None,
        }
    }

    /// Not granted by the server, which did not answer.
    pub(super) fn without_server(
        member: &Arc<Member>,
        class: Class,
        units: u32,
        local: Option<Permit>,
    ) -> Self {
        Self {
            member: Arc::clone(member),
            // Nobody else was promised the same: there is nothing to lose.
            term: Term::endless(),
            class,
            units,
            token: None,
            charge: None,
            local,
        }
    }

    /// Whether work may begin under it.
    pub(super) fn is_believable(&self) -> bool {
        self.term.is_valid()
    }

    /// Gives it back unused.
    pub(super) fn decline(mut self) {
        match &mut self.local {
            Some(local) => local.settle_load(0),
            None => self.settle(None),
        }
    }

    fn settle(&mut self, actual: Option<u64>) {
        if let (Some((at, load)), true) = (self.charge, self.member.has_rates()) {
            self.member.settle(Settled { at, load, actual });
            self.charge = actual.map(|actual| (at, actual));
        }
    }
}

impl Lease for RedisLease {
    fn is_valid(&self) -> bool {
        self.term.is_valid()
    }

    fn lost(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(Arc::clone(&self.term).over())
    }

    fn token(&self) -> Option<FencingToken> {
        self.token
            .map(|(epoch, sequence)| FencingToken::new(epoch, sequence))
    }

    fn settle_load(&mut self, actual: u64) {
        match &mut self.local {
            Some(local) => local.settle_load(actual),
            None => self.settle(Some(self.member.bounded_load(actual))),
        }
    }

    fn refund(self: Box<Self>) {
        self.decline();
    }
}

impl Drop for RedisLease {
    fn drop(&mut self) {
        self.local = None;
        self.member.give_back(self.class, self.units, &self.term);
    }
}

impl fmt::Debug for RedisLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLease")
            .field("units", &self.units)
            .field("is_valid", &self.term.is_valid())
            .finish_non_exhaustive()
    }
}
