//! The scripts at times that a test says.

use std::{cell::Cell, collections::HashMap};

use redis::{Connection, ErrorKind, RedisError, ServerErrorKind, Value};

use super::server::Server;
use crate::redis::script::{Call, Script};

/// Changes a script.
pub(super) type Mutation<'a> = &'a dyn Fn(&str) -> String;

/// Runs the scripts as they are shipped, but for the line that reads the clock, and for what a test
/// breaks on purpose.
pub(super) struct Clocked<'a> {
    pub(super) connection: Connection,
    mutation: Mutation<'a>,
    /// By the digests of the shipped ones, with digests of their own.
    scripts: HashMap<String, (String, String)>,
}

const CLOCK: &str = "local now = clock[1] * 1000000 + clock[2] -- the clock";

thread_local! {
    static BROKEN: Cell<(&'static str, &'static str)> = const { Cell::new(("", "")) };
}

/// Does something in a world in which one thing is put in the place of another in all scripts.
pub(super) fn in_broken_world<T>(
    from: &'static str,
    to: &'static str,
    something: impl FnOnce() -> T,
) -> T {
    BROKEN.set((from, to));
    let done = something();
    BROKEN.set(("", ""));
    done
}

impl<'a> Clocked<'a> {
    pub(super) fn new(server: &Server) -> Self {
        Self::broken(server, &|text| match BROKEN.get() {
            ("", _) => text.to_owned(),
            (from, to) => text.replace(from, to),
        })
    }

    pub(super) fn broken(server: &Server, mutation: Mutation<'a>) -> Self {
        Self {
            connection: server.connect(),
            mutation,
            scripts: HashMap::new(),
        }
    }

    pub(super) fn call(&mut self, call: &Call, now: u64) -> Result<Value, RedisError> {
        let mutation = self.mutation;
        let script = call.script();
        let known = self.scripts.entry(script.sha1().to_owned());
        let (text, sha1) = known.or_insert_with(|| clocked(script, mutation));
        let call = call.at(now);
        let reply = call.command("EVALSHA", sha1).query(&mut self.connection);
        match reply {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                call.command("EVAL", text).query(&mut self.connection)
            }
            reply => reply,
        }
    }
}

/// A script whose clock is its last argument.
pub(super) fn at_said_times(shipped: &str) -> String {
    assert_eq!(
        shipped.matches(CLOCK).count(),
        1,
        "one line reads the clock"
    );
    shipped.replace(CLOCK, "local now = tonumber(ARGV[#ARGV])")
}

fn clocked(script: &Script, mutation: Mutation<'_>) -> (String, String) {
    let text = mutation(&at_said_times(script.text()));
    let sha1 = sha1_smol::Sha1::from(&text).digest().to_string();
    (text, sha1)
}
