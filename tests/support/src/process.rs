//! A server's process, which ends no later than ours.

use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Should we be killed ourselves, it sees its standard input end, and kills the server.
    guard: Child,
}

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let mut child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program:?}"))?;
        let guard = Command::new("sh")
            .args(["-c", "trap '' INT TERM; read -r _; kill -9 \"$0\""])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .spawn();
        match guard {
            Ok(guard) => Ok(Self { child, guard }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("cannot start sh")
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its end, if it came by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an id"), signal).expect("a process that has not been waited for");
    }

    /// Waits for the end that was asked for by a signal.
    pub fn wait(&mut self) {
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard first: once the server has been waited for, its id may be another's.
        for process in [&mut self.guard, &mut self.child] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
