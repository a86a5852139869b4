//! Where cargo builds.

use std::path::PathBuf;

/// What is made here goes away with `cargo clean`.
pub(crate) fn target_folder() -> PathBuf {
    let manifest =
        || std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(manifest()).join("target"),
    }
}
