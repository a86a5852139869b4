//! The server as a process of its own, so that its threads and memory can be told from those of the benchmark.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

use crate::run::Run;

/// Killed when dropped; should the benchmark itself be killed, the server sees its standard input end.
pub(crate) struct Server {
    child: Child,
    _stdin: Option<ChildStdin>,
    url: String,
}

impl Server {
    /// Starts this very program as the server of a run, and waits until it listens.
    pub(crate) async fn start(run: &Run, port: u16, rows: u32) -> Result<Self> {
        let limit = format!("{:?}", run.limit).to_lowercase();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", "--until-stdin-ends", "--limit", &limit])
            .args(["--port", &port.to_string(), "--rows", &rows.to_string()])
            .args([
                "--db-limit",
                &run.limits.db.to_string(),
                "--fs-limit",
                &run.limits.fs.to_string(),
            ])
            .args(["--wait", &run.limits.wait.to_string()])
            .args(["--overload-above", &run.limits.overload_above.to_string()])
            .args(["--overload-after", &run.limits.overload_after.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the server")?;

        let stdout = child.stdout.take().expect("standard output is piped");
        let line = BufReader::new(stdout).lines().next_line().await?;
        let mut stderr = child.stderr.take().expect("standard error is piped");
        let Some(url) = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on "))
        else {
            let mut reason = String::new();
            stderr.read_to_string(&mut reason).await?;
            bail!("{}", reason.trim().trim_start_matches("error: "));
        };
        // What the server says of single requests, k6 counts; left unread, it would fill the pipe.
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        Ok(Self {
            url: url.into(),
            // Waiting for the child would close it.
            _stdin: child.stdin.take(),
            child,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for an end that should not come before `stop`.
    pub(crate) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        self.child.kill().await.context("cannot stop the server")
    }
}
