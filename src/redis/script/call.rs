//! What is sent.

use std::{
    fmt::{Display, Write as _},
    sync::Arc,
};

use redis::Cmd;

use crate::redis::protocol::{Ask, Attach, Class, Config, Operation, Settled, Timing, WaitsStill};

use super::{
    Keys,
    text::{ATTACH, AUDIT, CONFIGURE, LEAVE, OPERATION, RETURNING, Script},
};

/// A script with its keys and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    script: &'static Script,
    keys: Arc<[String]>,
    /// The arguments, one after the other.
    text: String,
    /// Where each of them ends.
    ends: Vec<usize>,
}

/// Most calls have no more to say.
const ARGUMENTS: usize = 32;
const LENGTH: usize = 256;

impl Call {
    fn new(script: &'static Script, keys: &Keys) -> Self {
        Self {
            script,
            keys: Arc::clone(keys.all()),
            text: String::with_capacity(LENGTH),
            ends: Vec::with_capacity(ARGUMENTS),
        }
    }

    /// To be sent first.
    pub(crate) fn evalsha(&self) -> Cmd {
        self.command("EVALSHA", self.script.sha1())
    }

    /// To be sent if the server does not know the script (`NOSCRIPT`).
    pub(crate) fn eval(&self) -> Cmd {
        self.command("EVAL", self.script.text())
    }

    /// The same with the time that a test says, for a script that knows of it.
    #[cfg(all(test, not(tcl_loom)))]
    pub(crate) fn at(&self, now: u64) -> Self {
        let mut call = self.clone();
        call.say(now);
        call
    }

    #[cfg(all(test, not(tcl_loom)))]
    pub(crate) fn script(&self) -> &'static Script {
        self.script
    }

    pub(crate) fn command(&self, name: &str, script: &str) -> Cmd {
        let keys = &self.keys;
        let length: usize = keys.iter().map(String::len).sum();
        let length = name.len() + script.len() + length + self.text.len();
        let mut command = Cmd::with_capacity(3 + keys.len() + self.ends.len(), length + 8);
        command.arg(name).arg(script).arg(keys.len()).arg(&**keys);
        let mut start = 0;
        for &end in &self.ends {
            command.arg(&self.text[start..end]);
            start = end;
        }
        command
    }

    fn say(&mut self, argument: impl Display) {
        let _ = write!(self.text, "{argument}"); // to a string: cannot fail
        self.ends.push(self.text.len());
    }

    fn say_or_none(&mut self, argument: Option<impl Display>) {
        match argument {
            Some(argument) => self.say(argument),
            None => self.say("-"),
        }
    }

    fn head(&mut self, session: &str, operation: u64, epoch: u64, timing: Timing) {
        self.say(session);
        self.say(operation);
        self.say(epoch);
        self.say(timing.heartbeat);
        self.say(timing.lease);
        self.say(u8::from(timing.fast_death));
    }

    fn units(&mut self, class: Class, units: u32) {
        self.class(class);
        self.say(units);
    }

    fn class(&mut self, class: Class) {
        match (class.lane, class.priority) {
            (None, None) => self.say("-/-"),
            (Some(lane), None) => self.say(format_args!("{lane}/-")),
            (None, Some(priority)) => self.say(format_args!("-/{priority}")),
            (Some(lane), Some(priority)) => self.say(format_args!("{lane}/{priority}")),
        }
    }

    fn ask(&mut self, ask: &Ask) {
        self.say(ask.id);
        self.class(ask.class);
        self.say(ask.priority);
        self.say(ask.units);
        self.say(ask.load);
        self.say(ask.patience);
        self.say_or_none(ask.max_waiting);
    }

    fn settled(&mut self, settled: &Settled) {
        self.say(settled.at);
        self.say(settled.load);
        self.say_or_none(settled.actual);
    }
}

/// The first words of a session.
pub(crate) fn attach(keys: &Keys, attach: &Attach<'_>) -> Call {
    let mut call = Call::new(&ATTACH, keys);
    call.head(
        attach.session,
        attach.operation,
        attach.epoch,
        attach.timing,
    );
    call.say(attach.run_id);
    call.say(attach.timing.cold_start);
    call.say(attach.config.revision);
    call.say(attach.config.words());
    call.say(attach.held.len());
    call.say(attach.waiters.len());
    for &(class, units) in attach.held {
        call.units(class, units);
    }
    for WaitsStill {
        ask,
        sequence,
        waited,
    } in attach.waiters
    {
        call.ask(ask);
        call.say_or_none(*sequence);
        call.say(waited);
    }
    call
}

/// An operation. One that asks for nothing works when the server is out of memory; any other is
/// then refused by the server, before anything was done, with an error of the code `OOM`.
pub(crate) fn operate(keys: &Keys, operation: &Operation<'_>) -> Call {
    let asks = !operation.asks.is_empty() || !operation.spare.is_empty();
    let mut call = Call::new(if asks { &OPERATION } else { &RETURNING }, keys);
    let Operation {
        session,
        operation: number,
        epoch,
        timing,
        ..
    } = *operation;
    call.head(session, number, epoch, timing);
    call.say(operation.acknowledged);
    call.say(operation.returned.len());
    call.say(operation.settled.len());
    call.say(operation.cancelled.len());
    call.say(operation.asks.len());
    call.say(operation.spare.len());
    for &(class, units) in operation.returned {
        call.units(class, units);
    }
    operation
        .settled
        .iter()
        .for_each(|settled| call.settled(settled));
    operation.cancelled.iter().for_each(|id| call.say(id));
    operation.asks.iter().for_each(|ask| call.ask(ask));
    for &(class, units) in operation.spare {
        call.units(class, units);
    }
    call
}

/// The last words of a session. Answered with [`Reply::AttachFirst`](crate::redis::protocol::Reply)
/// if it is gone already.
pub(crate) fn leave(
    keys: &Keys,
    session: &str,
    operation: u64,
    timing: Timing,
    settled: &[Settled],
) -> Call {
    let mut call = Call::new(&LEAVE, keys);
    call.head(session, operation, 0, timing);
    call.say(settled.len());
    settled.iter().for_each(|settled| call.settled(settled));
    call
}

/// Another configuration, if its revision is higher than that of the one in force.
pub(crate) fn configure(keys: &Keys, timing: Timing, config: &Config) -> Call {
    let mut call = Call::new(&CONFIGURE, keys);
    call.head("", 0, 0, timing);
    call.say(config.revision);
    call.say(config.words());
    call
}

/// Counts anew, and tells the differences.
pub(crate) fn audit(keys: &Keys) -> Call {
    let mut call = Call::new(&AUDIT, keys);
    let timing = Timing {
        heartbeat: 1,
        lease: 1,
        cold_start: 1,
        fast_death: false,
    };
    call.head("", 0, 0, timing);
    call
}
