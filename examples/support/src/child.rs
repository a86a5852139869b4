//! A server as a process of its own: this very program, started with other arguments.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{ChildStdin, Command},
};

/// Killed when dropped; should this process be killed itself, the child sees its standard input
/// end.
#[derive(Debug)]
pub struct Child {
    child: tokio::process::Child,
    _stdin: Option<ChildStdin>,
    url: String,
}

impl Child {
    /// Waits until it says where it listens.
    pub async fn start(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
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

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for an end that should not come before `stop`.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it, and waits until it is gone.
    pub async fn stop(&mut self) -> Result<()> {
        self.child.kill().await.context("cannot stop the server")
    }
}

/// What a child does in the background, so that it never outlives its parent.
pub fn end_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}
