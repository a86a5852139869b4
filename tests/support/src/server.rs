//! A server on a loopback port.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use redis::{FromRedisValue, RedisResult, Value};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Options, binary, eventually, port::free_port, process::Process};

/// For a server to start, to load what it kept, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often another may be faster to take a port.
const ATTEMPTS: usize = 20;

/// Killed when dropped, and what it kept is gone.
#[derive(Debug)]
pub struct Server {
    options: Options,
    port: u16,
    bus_port: u16,
    folder: TempDir,
    /// `None` while it is down.
    process: Mutex<Option<Process>>,
}

impl Server {
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        Self::launch(options).expect("a server")
    }

    /// A replica, once it has what the primary has.
    pub fn replica_of(primary: &Self) -> Self {
        let replica = Self::with(Options {
            replica_of: Some(primary.port),
            ..primary.options.clone()
        });
        eventually("the replica follows", PATIENCE, || {
            let link = replica.info("master_link_status");
            Ok((link.as_deref() == Some("up")).then_some(()))
        })
        .expect("a replica");
        replica
    }

    /// As [`with`](Self::with), for those who would rather say what went wrong than panic.
    pub fn launch(options: Options) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let server = Self {
                options: options.clone(),
                port: free_port(),
                bus_port: free_port(),
                folder: tempfile::tempdir().context("no folder for the server")?,
                process: Mutex::new(None),
            };
            if server.run()? {
                return Ok(server);
            }
        }
        bail!("another took the server's port {ATTEMPTS} times");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same server behind another port: that of a proxy.
    pub fn url_at(&self, port: u16) -> String {
        match self.options.requirepass {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }

    pub(super) fn bus_port(&self) -> u16 {
        self.bus_port
    }

    /// SIGKILL: what it had not yet kept on disk is lost.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// SIGTERM: it ends as it would in a deployment.
    pub fn stop(&self) {
        if let Some(mut process) = self.process().take() {
            process.signal(Signal::TERM);
            process.wait();
        }
    }

    /// Starts it again, on the same port with what it kept. It is killed before, unless it is down.
    pub fn restart(&self) {
        self.kill();
        eventually("its port is free again", PATIENCE, || {
            Ok(self.run()?.then_some(()))
        })
        .expect("a restart");
    }

    /// SIGSTOP: its connections stay, and nothing comes from them.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// A replica becomes a primary.
    pub fn promote(&self) {
        self.command(&["REPLICAOF", "NO", "ONE"]);
    }

    /// The answer to a command, on a connection of its own.
    pub fn command(&self, words: &[&str]) -> Value {
        self.ask(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The answer as a value of ours, or why there is none: `server.ask::<u64>(&["DBSIZE"])`.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query(&mut connection)
    }

    /// A field of `INFO`, if the server is there to be asked.
    pub fn info(&self, field: &str) -> Option<String> {
        let info: String = self.ask(&["INFO"]).ok()?;
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(value.trim_end().into())
    }

    /// What it wrote about itself since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// Starts the process and waits until it answers. `false`: another has its port.
    fn run(&self) -> Result<bool> {
        let log = File::create(self.log_file()).context("no file for its log")?;
        let mut command = Command::new(binary::find()?);
        let settings = self
            .options
            .arguments(self.port, self.bus_port, &self.folder);
        command.args(settings).stdout(log.try_clone()?).stderr(log);
        let mut process = Process::start(&mut command)?;
        let id = process.id().to_string();
        let is_up = eventually("the server answers", PATIENCE, || {
            if let Some(status) = process.ended() {
                let log = self.log();
                let is_taken = log.contains("already in use");
                ensure!(is_taken, "the server ended ({status}): {}", last(&log));
                return Ok(Some(false));
            }
            // While it ends because of that, the other may be the one who answers.
            let is_ours = self.info("process_id").as_ref() == Some(&id);
            let is_loading = self.info("loading").as_deref() != Some("0");
            Ok((is_ours && !is_loading).then_some(true))
        })
        .with_context(|| format!("its log ends with: {}", last(&self.log())))?;
        if is_up {
            *self.process() = Some(process);
        }
        Ok(is_up)
    }

    fn signal(&self, signal: Signal) {
        let process = self.process();
        process.as_ref().expect("a server that runs").signal(signal);
    }

    /// A test that panicked while it held it did no harm.
    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn last(log: &str) -> &str {
    log.lines()
        .rfind(|line| !line.is_empty())
        .unwrap_or("nothing")
}
