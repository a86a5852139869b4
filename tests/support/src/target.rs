//! Where cargo builds.

use std::path::{Path, PathBuf};

/// The target folder of the workspace; `cargo clean` removes what is made there.
pub fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => folder.into(),
        None => {
            let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
            folders.nth(2).expect("the workspace").join("target")
        }
    }
}
