//! What the compiler says of common mistakes names the cure.
//!
//! Pinned for the toolchain that the project is developed with, because compilers differ in their
//! words. After a change, `TRYBUILD=overwrite cargo test -p compile-errors` writes the new words
//! down; read them.

/// The compiler whose words are pinned.
const PINNED: &str = "rustc 1.95.";

#[test]
fn the_cure_is_in_the_message() {
    let rustc = std::process::Command::new("rustc")
        .arg("--version")
        .output();
    let version = rustc.expect("the compiler is there").stdout;
    if !version.starts_with(PINNED.as_bytes()) {
        return;
    }
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
