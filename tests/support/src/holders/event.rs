//! What can happen to a permit, as a line of the log.

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, Result, bail, ensure};

/// Nanoseconds of the system's monotonic clock.
pub type Nanos = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) process: u32,
    pub(super) at: Nanos,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The beginning of a wait. Permits are numbered by their process.
    Asked {
        permit: u64,
    },
    /// Stamped once it is known.
    Granted {
        permit: u64,
        units: u32,
    },
    /// Stamped before the release is handed over.
    Returned {
        permit: u64,
    },
    /// Stamped with the end of its validity.
    Lost {
        permit: u64,
    },
    Refused {
        permit: u64,
    },
    /// Stamped once the process is gone.
    Killed,
    /// Stamped once the process stands still. What it holds is valid until then at the latest.
    Paused {
        valid_until: Nanos,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, at, what } = self;
        match what {
            What::Asked { permit } => write!(f, "asked {process} {permit} {at}"),
            What::Granted { permit, units } => write!(f, "granted {process} {permit} {units} {at}"),
            What::Returned { permit } => write!(f, "returned {process} {permit} {at}"),
            What::Lost { permit } => write!(f, "lost {process} {permit} {at}"),
            What::Refused { permit } => write!(f, "refused {process} {permit} {at}"),
            What::Killed => write!(f, "killed {process} {at}"),
            What::Paused { valid_until } => write!(f, "paused {process} {valid_until} {at}"),
        }
    }
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let mut number = || -> Result<u64> {
            let word = words.next().with_context(|| format!("too short: {line}"))?;
            word.parse().with_context(|| format!("no number: {line}"))
        };
        let process = number()?.try_into()?;
        let what = match name {
            "asked" => What::Asked { permit: number()? },
            "granted" => What::Granted {
                permit: number()?,
                units: number()?.try_into()?,
            },
            "returned" => What::Returned { permit: number()? },
            "lost" => What::Lost { permit: number()? },
            "refused" => What::Refused { permit: number()? },
            "killed" => What::Killed,
            "paused" => What::Paused {
                valid_until: number()?,
            },
            _ => bail!("no event: {line}"),
        };
        let at = number()?;
        ensure!(words.next().is_none(), "too long: {line}");
        Ok(Self { process, at, what })
    }
}
