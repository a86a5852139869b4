//! What can go wrong on the way.

use std::time::Duration;

/// At first, nothing.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The part of the published messages that the client never sees. Answers to `SUBSCRIBE`, which
    /// RESP3 pushes too, always arrive.
    pub dropped_pushes: f64,
    /// Connections that are reset when a command was executed and before its reply arrives.
    pub cut: Option<Cut>,
    /// Whatever the client sends, its goodbye included, is kept until this is over: half of a
    /// partition.
    pub holds_requests: bool,
    /// Whatever the server sends is kept until this is over.
    pub holds_replies: bool,
    /// How long everything is on its way, in each direction.
    pub delay: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// How the name of the command begins: `EVAL` for `EVALSHA` too; empty for all commands.
    pub command: &'static str,
    /// The part of the replies.
    pub chance: f64,
    /// After so many it is over.
    pub at_most: usize,
}

impl Cut {
    /// The very next reply.
    pub fn next(command: &'static str) -> Self {
        Self {
            command,
            chance: 1.0,
            at_most: 1,
        }
    }

    pub(super) fn concerns(&self, command: &str) -> bool {
        let begin = command.get(..self.command.len());
        self.at_most > 0 && begin.is_some_and(|begin| begin.eq_ignore_ascii_case(self.command))
    }
}
