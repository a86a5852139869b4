//! The task that speaks for a session.

use std::sync::{Arc, atomic::Ordering};

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Duration, Member, Standing,
    state::{Batch, Outcome, State},
};
use crate::{
    observe,
    redis::{
        clock::BootTime,
        protocol::{Attach, Class, Done, Reply},
        script,
        shared_options::WhenUnavailable,
        wire::{Line, Wire},
    },
    shared::{Absence, NotLeased},
};

/// Why a connection is of no more use to a session.
enum End {
    /// It left.
    Left,
    /// It does not answer, or is gone.
    Broken,
    /// The server cannot serve the session at the moment.
    Pause(String),
    /// Another node has its keys.
    Moved(String),
    /// It has to introduce itself once more.
    Again,
}

/// After an error of the server.
const PAUSE: Duration = Duration::from_millis(50);

/// While it is not known which node to ask.
const SURVEY: Duration = Duration::from_millis(100);

impl Member {
    /// Speaks for the session until it leaves.
    pub(in crate::redis) async fn work(self: Arc<Self>) {
        tokio::select! {
            () = self.talk() => {}
            () = self.watch_term() => {}
        }
        self.lock().term.end();
        self.core.forget(&self.session);
        self.has_left.send_replace(true);
    }

    async fn talk(self: &Arc<Self>) {
        let mut spoken = Spoken {
            operation: 0,
            last_answer: Instant::now(),
        };
        loop {
            let Some((wire, line)) = self.connected(&spoken).await else {
                return;
            };
            match self.converse(&wire, &line, &mut spoken).await {
                End::Left => return,
                End::Again => {}
                End::Broken => wire.report_broken(line.number),
                End::Moved(node) => self.core.wires().moved(self.keys.slot(), &node),
                End::Pause(error) => {
                    observe::shared_limit_fails(&self.name, &error);
                    if *self.is_leaving.borrow() {
                        return; // it has tried
                    }
                    if line.greeting.is_cluster {
                        self.core.wires().survey().await;
                    }
                    sleep(PAUSE).await;
                }
            }
            self.interrupt();
            // Errors are answers, but of no use to those who wait.
            if self.worry(&spoken).is_some_and(|at| at <= Instant::now()) {
                self.give_up();
            }
        }
    }

    /// Waits for a connection to whoever has this resource. `None` if the session leaves first.
    async fn connected(self: &Arc<Self>, spoken: &Spoken) -> Option<(Arc<Wire>, Line)> {
        let mut is_leaving = self.is_leaving.subscribe();
        loop {
            let wire = self.core.wires().of(&self.core, self.keys.slot());
            let mut state = wire.state();
            let line = state.borrow_and_update().clone();
            if let Some(line) = line.filter(|line| !wire.is_broken(line.number)) {
                if !line.greeting.is_cluster || self.is_on_cluster() {
                    return Some((wire, line));
                }
                self.is_on_cluster.store(true, Ordering::Relaxed);
                self.core.wires().survey().await;
                continue;
            }
            let worry = self.worry(spoken);
            tokio::select! {
                _ = state.changed() => {}
                () = happens(&mut is_leaving, |&leaving| leaving) => return None,
                () = sleep_until(worry.unwrap_or_else(far)), if worry.is_some() => self.give_up(),
                () = sleep(SURVEY), if self.is_on_cluster() => self.core.wires().survey().await,
            }
        }
    }

    /// When the silence is too long, unless it is already.
    fn worry(&self, spoken: &Spoken) -> Option<Instant> {
        let is_known = *self.standing.borrow() == Standing::Unavailable;
        (!is_known).then(|| spoken.last_answer + self.core.settings().down_after)
    }

    /// Introduces the session, and says what there is to say, for as long as the connection lasts.
    async fn converse(self: &Arc<Self>, wire: &Wire, line: &Line, spoken: &mut Spoken) -> End {
        if let Err(end) = self.attach(line, spoken).await {
            return end;
        }
        let mut state = wire.state();
        let mut is_leaving = self.is_leaving.subscribe();
        let mut heartbeat = Instant::now() + self.core.settings().heartbeat;
        loop {
            let due = if self.has_new_config.load(Ordering::Acquire) {
                Instant::now()
            } else {
                let state = self.lock();
                let words = state.has_words().then(Instant::now);
                words
                    .or(state.due())
                    .map_or(heartbeat, |due| due.min(heartbeat))
            };
            if due > Instant::now() {
                let is_gone =
                    |now: &Option<Line>| now.as_ref().map(|l| l.number) != Some(line.number);
                tokio::select! {
                    biased;
                    () = happens(&mut state, is_gone) => return End::Broken,
                    () = happens(&mut is_leaving, |&leaving| leaving) => {}
                    () = self.bell.notified() => {}
                    () = sleep_until(due) => {}
                }
            }
            if *self.is_leaving.borrow() {
                return self.say_goodbye(line, spoken).await;
            }
            if *self.standing.borrow() != Standing::Attached(line.number) {
                return End::Again;
            }
            if self.has_new_config.swap(false, Ordering::AcqRel) {
                if let Err(end) = self.configure(line).await {
                    self.has_new_config.store(true, Ordering::Release);
                    return end;
                }
            }
            let is_due = due <= Instant::now() || self.lock().has_words();
            if is_due {
                heartbeat = Instant::now() + self.core.settings().heartbeat;
                if let Err(end) = self.operate(line, spoken).await {
                    return end;
                }
            }
        }
    }

    async fn attach(self: &Arc<Self>, line: &Line, spoken: &mut Spoken) -> Result<(), End> {
        // What is pushed from here on is part of the answer, or void.
        self.interrupt();
        let config = self.config().clone();
        let ((held, waiters), epoch) = {
            let mut state = self.lock();
            self.standing.send_if_modified(|standing| {
                let was_away = *standing == Standing::Unavailable;
                if was_away {
                    *standing = Standing::Returning;
                }
                was_away
            });
            (state.report(), state.epoch())
        };
        spoken.operation += 1;
        let attach = Attach {
            session: &self.session,
            operation: spoken.operation,
            run_id: &line.greeting.run_id,
            epoch,
            config: &config,
            timing: self.timing(),
            held: &held,
            waiters: &waiters,
        };
        let sent = BootTime::now();
        let reply = line.call(&script::attach(&self.keys, &attach)).await;
        match self.understand(reply)? {
            Reply::Done(done) => {
                spoken.last_answer = Instant::now();
                self.be_attached(line, &done);
                self.apply(&done, sent, true);
                Ok(())
            }
            Reply::AttachFirst | Reply::Stale => Err(End::Pause(
                "the server knows a later word of this session".to_owned(),
            )),
        }
    }

    async fn operate(self: &Arc<Self>, line: &Line, spoken: &mut Spoken) -> Result<(), End> {
        let (mut batch, epoch) = {
            let mut state = self.lock();
            let batch = state.next_batch(|state, class| self.spare(state, class));
            (batch, state.epoch())
        };
        spoken.operation += 1;
        let sent = BootTime::now();
        let mut reply = self.say(line, &batch, spoken, epoch).await;
        let may_be_heard = reply.as_ref().is_err_and(RedisError::is_timeout);
        if may_be_heard {
            // Nobody knows whether it was heard. Said again, it counts once.
            self.give_up();
            reply = self.say(line, &batch, spoken, epoch).await;
        }
        if reply.as_ref().is_err_and(is_out_of_memory) {
            if may_be_heard {
                return Err(End::Again); // without what it asked for it would be another operation
            }
            // What is given back is heard all the same; those who want something cannot be written
            // down.
            let asks = batch.without_asks();
            let unavailable = || Outcome::Refused(NotLeased::from(Absence::Unavailable));
            let news = self.lock().dismiss_asks(&asks, unavailable);
            news.tell();
            observe::shared_limit_fails(&self.name, "the server is out of memory");
            spoken.operation += 1;
            reply = self.say(line, &batch, spoken, epoch).await;
        }
        let reply = self.understand(reply);
        let is_heard = may_be_heard || matches!(reply, Ok(Reply::Done(_)) | Err(End::Broken));
        if !is_heard {
            self.lock().settle_again(batch);
        }
        match reply? {
            Reply::Done(done) => {
                spoken.last_answer = Instant::now();
                if *self.standing.borrow() == Standing::Unavailable {
                    return Err(End::Again); // it has to report what was let in meanwhile
                }
                self.apply(&done, sent, false);
                Ok(())
            }
            Reply::AttachFirst | Reply::Stale => Err(End::Again),
        }
    }

    /// Has all processes know another configuration, whatever they know.
    async fn configure(&self, line: &Line) -> Result<(), End> {
        loop {
            let config = {
                let known = self.lock().last.map_or(0, |last| last.revision);
                let mut config = self.config();
                config.revision = config.revision.max(known) + 1;
                config.clone()
            };
            let reply = line
                .call(&script::configure(&self.keys, self.timing(), &config))
                .await;
            let reply = reply.map_err(|error| self.trouble(&error))?;
            match script::parse_configured(&reply) {
                Ok(Some((_, true))) => return Ok(()),
                // Another process was faster; the last word counts.
                Ok(Some((revision, false))) => self.config().revision = revision,
                Ok(None) => return Err(End::Again),
                Err(error) => return Err(End::Pause(error.to_string())),
            }
        }
    }

    fn be_attached(&self, line: &Line, done: &Done) {
        let before = self.standing.send_replace(Standing::Attached(line.number));
        if before == Standing::Connecting || before.is_away() {
            observe::shared_limit_enforced(&self.name, done.sessions, done.epoch);
        }
    }

    async fn say(
        &self,
        line: &Line,
        batch: &Batch,
        spoken: &Spoken,
        epoch: u64,
    ) -> redis::RedisResult<Value> {
        let operation = batch.operation(self, spoken.operation, epoch);
        line.call(&script::operate(&self.keys, &operation)).await
    }

    async fn say_goodbye(&self, line: &Line, spoken: &mut Spoken) -> End {
        spoken.operation += 1;
        let settled = self.lock().take_settled();
        let leave = script::leave(
            &self.keys,
            &self.session,
            spoken.operation,
            self.timing(),
            &settled,
        );
        if let Err(error) = line.call(&leave).await {
            observe::shared_limit_fails(&self.name, &error.to_string());
        }
        End::Left
    }

    /// What the server's answer means for the conversation.
    fn understand(&self, reply: redis::RedisResult<Value>) -> Result<Reply, End> {
        let reply = reply.map_err(|error| self.trouble(&error))?;
        script::parse_reply(&reply).map_err(|error| End::Pause(error.to_string()))
    }

    /// What an error means for it.
    fn trouble(&self, error: &RedisError) -> End {
        match error.kind() {
            _ if error.is_timeout() || error.is_connection_dropped() => End::Broken,
            ErrorKind::Server(ServerErrorKind::Moved) => match error.redirect_node() {
                Some((node, _)) => End::Moved(node.to_owned()),
                None => End::Pause(error.to_string()),
            },
            ErrorKind::Server(ServerErrorKind::ReadOnly) => End::Broken, // a replica by now
            ErrorKind::Server(_) | ErrorKind::Extension => End::Pause(error.to_string()),
            _ => End::Broken,
        }
    }

    fn apply(self: &Arc<Self>, done: &Done, sent: BootTime, is_attached_anew: bool) {
        let mut state = self.lock();
        let before = state.last;
        let in_hand = state.in_hand();
        let news = state.apply(self, done, sent, is_attached_anew);
        drop(state);
        news.tell();
        if done.was_lost && in_hand > 0 {
            observe::shared_limit_lease_lost(&self.name, in_hand);
        }
        if before.is_some_and(|last| last.epoch != done.epoch) {
            observe::shared_limit_state_lost(&self.name, done.epoch);
        }
        let was_own = before.is_none_or(|last| last.is_own_config);
        if was_own && !done.is_own_config {
            observe::shared_limit_differs(
                &self.name,
                self.config().revision,
                done.revision,
                done.limit,
            );
        }
        let mut config = self.config();
        if done.revision > config.revision && done.limit != config.limit {
            config.limit = done.limit;
            self.shape.divide(&mut config);
        }
    }

    /// How many units more than it needs a cache wants of a class.
    fn spare(&self, state: &State, _class: Class) -> u32 {
        let room = self.most_idle(state).saturating_sub(state.idle());
        let wanted = (2 * state.in_hand()).max(4);
        wanted.min(room) as u32
    }

    /// How many units a cache keeps at most.
    pub(super) fn most_idle(&self, state: &State) -> u64 {
        let Some(last) = state.last.filter(|_| self.is_cached) else {
            return 0;
        };
        let (limit, processes) = (u64::from(last.limit), last.sessions.max(1));
        // With fewer units, keeping some would keep them from the others.
        match limit < 4 * processes {
            true => 0,
            false => limit / (2 * processes),
        }
    }

    /// The connection is gone; what is asked waits for the next one.
    fn interrupt(&self) {
        self.standing.send_if_modified(|standing| {
            let was_attached = matches!(standing, Standing::Attached(_));
            if was_attached {
                *standing = Standing::Interrupted;
            }
            was_attached
        });
    }

    /// The silence was too long.
    fn give_up(&self) {
        let before = *self.standing.borrow();
        if before == Standing::Unavailable {
            return;
        }
        let mut state = self.lock();
        let processes = state.last.map_or(1, |last| last.sessions.max(1));
        if self.when_unavailable == WhenUnavailable::LocalShare {
            let limit = state.last.map_or(self.config().limit, |last| last.limit);
            self.local.open(limit, processes, state.in_hand());
        }
        self.standing.send_replace(Standing::Unavailable);
        let news = match self.when_unavailable {
            WhenUnavailable::Wait => state.dismiss_hasty(|| Outcome::AskAgain),
            _ => state.dismiss(|| Outcome::AskAgain),
        };
        drop(state);
        news.tell();
        if before != Standing::Returning {
            observe::shared_limit_unavailable(&self.name, &self.when_unavailable.to_string());
        }
    }

    /// Notices when what is held may not be believed in any more.
    async fn watch_term(&self) {
        let mut was_valid = false;
        loop {
            let term = Arc::clone(&self.lock().term);
            let is_valid = term.is_valid();
            if was_valid && !is_valid && term.end() {
                let in_hand = self.lock().in_hand();
                observe::shared_limit_lease_lost(&self.name, in_hand);
            }
            was_valid = is_valid;
            let left = match is_valid {
                true => term.left(),
                false => self.core.settings().heartbeat,
            };
            sleep(left.min(self.core.settings().heartbeat)).await;
        }
    }
}

/// How far the conversation has come.
struct Spoken {
    operation: u64,
    last_answer: Instant,
}

/// Waits until a value is so, or whoever changes it is gone.
async fn happens<T>(value: &mut watch::Receiver<T>, is_so: impl FnMut(&T) -> bool) {
    let _ = value.wait_for(is_so).await;
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

fn is_out_of_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}
