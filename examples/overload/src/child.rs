//! The server as a process of its own, so that its threads and memory can be told from those of the
//! benchmark.

use anyhow::Result;
use example_support::Child;

use crate::run::Run;

/// Starts the server of a run, and waits until it listens.
pub(crate) async fn start(run: &Run, port: u16, rows: u32) -> Result<Child> {
    let limit = format!("{:?}", run.limit).to_lowercase();
    let limits = &run.limits;
    let settings = [
        ("--limit", limit),
        ("--port", port.to_string()),
        ("--rows", rows.to_string()),
        ("--db-limit", limits.db.to_string()),
        ("--fs-limit", limits.fs.to_string()),
        ("--wait", limits.wait.to_string()),
        ("--overload-above", limits.overload_above.to_string()),
        ("--overload-after", limits.overload_after.to_string()),
    ];
    let settings = settings.map(|(name, value)| [name.to_owned(), value]);
    let serve = ["--serve", "--until-stdin-ends"].map(String::from);
    Child::start(serve.into_iter().chain(settings.into_iter().flatten())).await
}
