//! The way of one request into a shared limit.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{Member, RedisLease, Standing, state::Outcome};
use crate::{
    admission::Nanos,
    redis::shared_options::WhenUnavailable,
    shared::{Absence, LeaseRequest, NotLeased},
};

impl Member {
    /// Waits for what is asked.
    pub(in crate::redis) async fn enter(
        self: Arc<Self>,
        ask: LeaseRequest,
    ) -> Result<RedisLease, NotLeased> {
        // Who has no time is not queued, but asks.
        let deadline = Some(ask.deadline).filter(|&deadline| deadline > Instant::now());
        loop {
            if self.lock().is_closed {
                return Err(NotLeased::from(Absence::Closed));
            }
            let standing = *self.standing.borrow();
            let answer = match (standing, self.when_unavailable) {
                (Standing::Unavailable, WhenUnavailable::FailClosed) => {
                    Some(Err(NotLeased::from(Absence::Unavailable)))
                }
                (Standing::Unavailable, WhenUnavailable::Wait) if deadline.is_none() => {
                    Some(Err(NotLeased::from(Absence::Unavailable)))
                }
                (Standing::Unavailable, WhenUnavailable::FailOpen) => {
                    self.without_server(&ask, None).map(Ok)
                }
                (Standing::Unavailable, WhenUnavailable::LocalShare) => {
                    self.enter_share(&ask, deadline).await
                }
                _ => {
                    let entered = self.enter_queue(&ask, deadline).await;
                    entered.map(|entered| entered.map_err(|why| self.scatter(why, ask.load)))
                }
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    /// Waits for a part of this process's own share, until the server is back; `None`: ask again.
    async fn enter_share(
        self: &Arc<Self>,
        ask: &LeaseRequest,
        deadline: Option<Instant>,
    ) -> Option<Result<RedisLease, NotLeased>> {
        let mut standing = self.standing.subscribe();
        let is_back = standing.wait_for(|standing| *standing != Standing::Unavailable);
        tokio::select! {
            biased;
            acquired = self.local.acquire(ask, deadline) => match acquired {
                Ok(permit) => self.without_server(ask, Some(permit)).map(Ok),
                Err(not_leased) => Some(Err(not_leased)),
            },
            _ = is_back => None,
        }
    }

    /// Not all whom a rate has refused come back at the moment at which it allows the first of
    /// them.
    fn scatter(&self, not_leased: NotLeased, load: u64) -> NotLeased {
        let scattered = |after: Duration| {
            let now = nanos(self.joined.elapsed());
            let ready = now.saturating_add(nanos(after));
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.next(now, ready, self.shape.interval(load));
            Duration::from_nanos(slot - now)
        };
        NotLeased {
            retry_after: match not_leased.by_rate {
                true => not_leased.retry_after.map(scattered),
                false => not_leased.retry_after,
            },
            ..not_leased
        }
    }

    /// Waits for the server's word; `None`: ask again.
    async fn enter_queue(
        self: &Arc<Self>,
        ask: &LeaseRequest,
        deadline: Option<Instant>,
    ) -> Option<Result<RedisLease, NotLeased>> {
        let (id, answer) = match self.ask(self.translate(ask), deadline) {
            Ok(asked) => asked?,
            Err(not_leased) => return Some(Err(not_leased)),
        };
        let mut place = Place {
            member: self,
            id: Some(id),
            answer,
        };
        let sleep = deadline.map(|deadline| {
            let _here = self.core.runtime().enter(); // whoever asks may have no runtime
            sleep_until(deadline)
        });
        let timeout = async {
            match sleep {
                Some(sleep) => sleep.await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            biased;
            outcome = &mut place.answer => outcome,
            () = timeout => return Some(Err(place.time_out())),
        };
        place.id = None;
        match outcome {
            Ok(Outcome::Leased(lease)) if lease.is_believable() => Some(Ok(lease)),
            Ok(Outcome::Leased(lease)) => {
                lease.decline(); // it came too late: what was granted is somebody else's by now
                None
            }
            Ok(Outcome::AskAgain) => None,
            Ok(Outcome::Refused(not_leased)) => Some(Err(not_leased)),
            Err(_) => Some(Err(NotLeased::from(Absence::Closed))),
        }
    }
}

/// A place among those who wait. Dropping it gives the place up.
struct Place<'a> {
    member: &'a Member,
    /// `None` once the outcome is known.
    id: Option<u64>,
    answer: oneshot::Receiver<Outcome>,
}

impl Place<'_> {
    fn time_out(&self) -> NotLeased {
        let retry_after = self.member.lock().retry_after();
        let is_away = self.member.standing.borrow().is_away();
        NotLeased {
            why: match is_away {
                true => Absence::Unavailable,
                false => Absence::Timeout,
            },
            by_rate: retry_after.is_some() && !is_away,
            retry_after: retry_after.filter(|_| !is_away),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.member.cancel(id);
        }
        self.answer.close();
        if let Ok(Outcome::Leased(lease)) = self.answer.try_recv() {
            lease.decline();
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
