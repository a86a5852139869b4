//! What comes back.

use std::{error::Error, fmt, str::FromStr};

use redis::Value;

use crate::redis::audit::Difference;
use crate::redis::protocol::{Class, Done, Granted, LaneToken, Refusal, Reply};

/// A reply that no script of this version gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProtocolError(String);

impl ProtocolError {
    pub(super) fn new(reply: impl fmt::Debug) -> Self {
        Self(format!("unexpected reply of a script: {reply:?}"))
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ProtocolError {}

/// The answer to [`attach`](super::attach), [`operate`](super::operate) and
/// [`leave`](super::leave).
pub(crate) fn parse_reply(value: &Value) -> Result<Reply, ProtocolError> {
    let text = text(value)?;
    match text {
        "A" => Ok(Reply::AttachFirst),
        "S" => Ok(Reply::Stale),
        "L" => Ok(Reply::Done(Done::default())),
        _ => Words::new(text)
            .done()
            .map(Reply::Done)
            .ok_or_else(|| ProtocolError::new(text)),
    }
}

/// The answer to [`configure`](super::configure): the revision in force, and whether it is the new
/// one. `None` where nothing is known of the resource, or not for sure: attach.
pub(crate) fn parse_configured(value: &Value) -> Result<Option<(u64, bool)>, ProtocolError> {
    let text = text(value)?;
    let mut words = Words::new(text);
    match (words.word(), words.number()) {
        (Some("A"), None) => Ok(None),
        (Some(word @ ("C" | "c")), Some(revision)) => Ok(Some((revision, word == "C"))),
        _ => Err(ProtocolError::new(text)),
    }
}

/// The answer to [`audit`](super::audit).
pub(crate) fn parse_audit(value: &Value) -> Result<Vec<Difference>, ProtocolError> {
    let parse = |line: &str| {
        let (kept_and_before, counted) = line.rsplit_once(' ')?;
        let (what, kept) = kept_and_before.rsplit_once(' ')?;
        Some(Difference {
            what: what.to_owned(),
            kept: kept.to_owned(),
            counted: counted.to_owned(),
        })
    };
    let lines = text(value)?.lines();
    lines
        .map(|line| parse(line).ok_or_else(|| ProtocolError::new(line)))
        .collect()
}

fn text(value: &Value) -> Result<&str, ProtocolError> {
    let bytes = match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text.as_str()),
        _ => None,
    };
    bytes.ok_or_else(|| ProtocolError::new(value))
}

struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self(text.split(' '))
    }

    fn word(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn number<N: FromStr>(&mut self) -> Option<N> {
        self.word()?.parse().ok()
    }

    fn is_set(&mut self) -> Option<bool> {
        Some(self.number::<u8>()? == 1)
    }

    fn done(&mut self) -> Option<Done> {
        (self.word()? == "D").then_some(())?;
        let mut done = Done {
            epoch: self.number()?,
            now: self.number()?,
            learning_until: Some(self.number()?).filter(|&until| until > 0),
            limit: self.number()?,
            in_use: self.number()?,
            waiting: self.number()?,
            sessions: self.number()?,
            revision: self.number()?,
            is_own_config: self.is_set()?,
            pushed: self.number()?,
            ..Done::default()
        };
        let next = self.number()?;
        let is_own = self.is_set()?;
        done.next = (next > 0).then_some((next, is_own));
        while let Some(kind) = self.word() {
            match kind {
                "g" => done.granted.push(self.granted()?),
                "q" => done.queued.push((self.number()?, self.number()?)),
                "r" => done.refused.push((self.number()?, self.refusal()?)),
                "l" => done.was_lost = true,
                "s" => done.spare.push((self.class()?, self.number()?)),
                _ => return None,
            }
        }
        Some(done)
    }

    fn granted(&mut self) -> Option<Granted> {
        Some(Granted {
            id: self.number()?,
            sequence: self.number()?,
            at: self.number()?,
            load: self.number()?,
            push: match self.word()? {
                "-" => None,
                number => Some(number.parse().ok()?),
            },
        })
    }

    fn refusal(&mut self) -> Option<Refusal> {
        let word = self.word()?;
        let next = word.get(1..).and_then(|at| at.parse().ok());
        Some(match word.chars().next()? {
            't' | 'T' => Refusal::Timeout { next },
            'f' | 'F' => Refusal::Full { next },
            's' => Refusal::Shed,
            _ => return None,
        })
    }

    fn class(&mut self) -> Option<Class> {
        let (lane, priority) = self.word()?.split_once('/')?;
        let lane = Some(lane).filter(|lane| *lane != "-");
        let priority = Some(priority).filter(|priority| *priority != "-");
        let token = |lane| u64::from_str_radix(lane, 16).map(LaneToken);
        Some(Class {
            lane: lane.map(token).transpose().ok()?,
            priority: priority.map(str::parse).transpose().ok()?,
        })
    }
}
