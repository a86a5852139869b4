//! The texts of the scripts.

use std::sync::OnceLock;

/// A script, and the digest by which a server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    sha1: OnceLock<String>,
}

impl Script {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            sha1: OnceLock::new(),
        }
    }

    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    pub(crate) fn sha1(&self) -> &str {
        self.sha1
            .get_or_init(|| sha1_smol::Sha1::from(self.text).digest().to_string())
    }
}

macro_rules! script {
    ($flags:literal $($file:literal)+) => {
        Script::new(concat!($flags, "\n", $(include_str!(concat!("../scripts/", $file, ".lua")),)+))
    };
}

/// Under "out of memory" a server refuses a script at its start, unless it is marked as one that
/// frees memory.
macro_rules! operation {
    ($flags:literal) => {
        script!($flags "clock" "quick" "state" "rates" "lanes" "reserves" "waiters" "order" "grant" "arrive"
            "sessions" "op")
    };
}

pub(super) static OPERATION: Script = operation!("#!lua");

/// The same for operations that ask for nothing, which work without memory, too.
pub(super) static RETURNING: Script = operation!("#!lua flags=allow-oom");

pub(super) static ATTACH: Script = script!("#!lua flags=allow-oom" "clock" "state" "rates" "lanes" "reserves"
    "waiters" "order" "grant" "arrive" "sessions" "carry" "apply" "attach");

pub(super) static LEAVE: Script = script!("#!lua flags=allow-oom" "clock" "state" "rates" "lanes" "reserves"
    "waiters" "order" "grant" "sessions" "leave");

pub(super) static CONFIGURE: Script = script!("#!lua flags=allow-oom" "clock" "state" "rates" "lanes" "reserves"
    "waiters" "order" "grant" "sessions" "carry" "apply" "configure");

pub(super) static AUDIT: Script = script!("#!lua flags=allow-oom" "clock" "state" "rates" "lanes" "reserves"
    "waiters" "order" "grant" "audit");
