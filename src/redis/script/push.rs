//! What is pushed to a process.

use crate::redis::protocol::{Granted, Micros};

use super::ProtocolError;

/// News for one session, as it comes over the channel of its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// Of the resource: [`Keys::tag`](super::Keys::tag).
    pub(crate) tag: String,
    pub(crate) session: String,
    pub(crate) letters: Vec<Letter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letter {
    Granted(Granted),
    /// It gave way.
    Shed {
        push: u64,
        id: u64,
    },
    /// The session's waiter is the first in line, and a rate lets it go at this time.
    Next(Micros),
}

impl Push {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let text = std::str::from_utf8(payload).map_err(|_| ProtocolError::new(payload))?;
        Self::read(text).ok_or_else(|| ProtocolError::new(text))
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut push = Self {
            tag: words.next()?.to_owned(),
            session: words.next()?.to_owned(),
            letters: Vec::new(),
        };
        while let (Some(kind), Some(word)) = (words.next(), words.next()) {
            let numbers: Option<Vec<u64>> = word.split(':').map(|n| n.parse().ok()).collect();
            push.letters.push(match (kind, &*numbers?) {
                ("g", &[push, id, sequence, at, load]) => Letter::Granted(Granted {
                    id,
                    sequence,
                    at,
                    load,
                    push: Some(push),
                }),
                ("s", &[push, id]) => Letter::Shed { push, id },
                ("n", &[at]) => Letter::Next(at),
                _ => return None,
            });
        }
        Some(push)
    }
}
