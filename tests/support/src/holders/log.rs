//! The log of one process, in a file that many write.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

use super::event::{Event, Nanos, What};

/// The time that all processes of this host agree on.
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[derive(Debug)]
pub struct Log {
    file: File,
    process: u32,
    permits: AtomicU64,
}

impl Log {
    /// `process` is any number that no other process has.
    pub fn open(path: &Path, process: u32) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            file: file.with_context(|| format!("cannot write to {}", path.display()))?,
            process,
            permits: AtomicU64::new(0),
        })
    }

    /// A wait begins: the number of the permit that it may lead to.
    pub fn asked(&self) -> u64 {
        let permit = self.permits.fetch_add(1, Relaxed);
        self.write(now(), What::Asked { permit });
        permit
    }

    /// When that was.
    pub fn granted(&self, permit: u64, units: u32) -> Nanos {
        let at = now();
        self.write(at, What::Granted { permit, units });
        at
    }

    /// To be called before the permit is dropped.
    pub fn returned(&self, permit: u64) {
        self.write(now(), What::Returned { permit });
    }

    /// Its validity ended at this time.
    pub fn lost(&self, permit: u64, at: Nanos) {
        self.write(at, What::Lost { permit });
    }

    pub fn refused(&self, permit: u64) {
        self.write(now(), What::Refused { permit });
    }

    /// This process was killed and waited for; said by the one who did it.
    pub fn killed(&self) {
        self.write(now(), What::Killed);
    }

    /// This process stands still, and what it held is not valid for longer than that.
    pub fn paused(&self, valid_until: Nanos) {
        self.write(now(), What::Paused { valid_until });
    }

    /// A line is one write, so that lines of different processes do not mix.
    fn write(&self, at: Nanos, what: What) {
        let process = self.process;
        let line = format!("{}\n", Event { process, at, what });
        let written = (&self.file).write(line.as_bytes()).expect("a log");
        assert_eq!(written, line.len(), "the line is in the log as a whole");
    }
}
