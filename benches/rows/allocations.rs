//! Allocations, counted by a benchmark of their own, because counting takes time.

use std::{env, process::Command};

use crate::support::figures::{Row, parse};

pub(crate) fn measure() -> Vec<Row> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "bench",
            "--quiet",
            "--bench",
            "allocations",
            "--",
            "--figures",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the count succeeds: {report}");
    parse(&String::from_utf8_lossy(&output.stdout))
}
