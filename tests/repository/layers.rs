//! The direction of the dependencies between the modules, as `src/lib.rs` draws it.

use std::{collections::BTreeSet, fs, path::Path};

use crate::source::{code, files, src};

/// From the top to the bottom: a module may use those after it.
const LAYERS: [&str; 7] = [
    "redis",
    "middleware",
    "limiter",
    "permit",
    "core",
    "resource",
    "admission",
];

/// Modules that anybody above them may use, and what they may use themselves.
const LEAVES: [(&str, &[&str]); 6] = [
    ("adaptive", &[]),
    ("guide", &[]),
    ("observe", &["rejection"]),
    ("rejection", &[]),
    ("shared", &[]),
    ("sync", &[]),
];

fn may_use(user: &str, used: &str) -> bool {
    let rank = |module| LAYERS.iter().position(|&layer| layer == module);
    if user == used {
        return true;
    }
    match (
        LEAVES.iter().find(|(leaf, _)| *leaf == user),
        rank(user),
        rank(used),
    ) {
        (Some((_, allowed)), _, _) => allowed.contains(&used),
        (None, Some(user), Some(used)) => user < used,
        (None, Some(_), None) => LEAVES.iter().any(|(leaf, _)| *leaf == used),
        // A module that this test does not know may stand anywhere, until it has a place here.
        (None, None, _) => false,
    }
}

/// The module at the top of the crate that a file belongs to.
fn module_of(file: &Path, src: &Path) -> String {
    let inside = file.strip_prefix(src).expect("below src");
    let first = inside.components().next().expect("a name");
    let first = first.as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules named by the `crate::` paths of some code, in groups too: `crate::{a::A, b::B}`.
fn modules_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            None => used.extend(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (index, c) in group.char_indices() {
                    if start && c.is_alphanumeric() {
                        used.extend(first_name(&group[index..]));
                        start = false;
                    }
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        _ => {}
                    }
                }
            }
        }
    }
    used
}

/// The first segment of a path, if it names a module and not an item at the root.
fn first_name(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &path[..end.unwrap_or(path.len())];
    name.starts_with(char::is_lowercase)
        .then(|| name.to_owned())
}

#[test]
fn arrows_point_one_way() {
    let src = src();
    let mut wrong = Vec::new();
    for file in files(&src) {
        let module = module_of(&file, &src);
        if module == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        for used in modules_used(&code(&text)) {
            if !may_use(&module, &used) {
                let file = file
                    .strip_prefix(&src)
                    .expect("below src")
                    .display()
                    .to_string();
                wrong.push(format!("src/{file} ({module}) uses crate::{used}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "the layers are {LAYERS:?}, from top to bottom, with the leaves {LEAVES:?}; these point \
         the wrong way:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn only_the_middleware_knows_http_requests() {
    let src = src();
    for file in files(&src) {
        let module = module_of(&file, &src);
        // An extractor has to say what it extracts from.
        let is_extractor = file.ends_with("permit/handle.rs");
        if module == "middleware" || is_extractor {
            continue;
        }
        let code = code(&fs::read_to_string(&file).expect("a source file"));
        assert!(
            !code.contains("Request<") && !code.contains("http::Request"),
            "{} names http::Request",
            file.display()
        );
    }
}

#[test]
fn this_test_reads_what_it_means_to() {
    let used = modules_used(&code(
        "use crate::{admission::{Demand, Demands}, core::Gate,\n    sync::lock, Limiter};\n\
         crate::observe::rejected(x); // crate::middleware\n/// [`crate::limiter`]",
    ));
    let used: Vec<_> = used.iter().map(String::as_str).collect();
    assert_eq!(used, ["admission", "core", "observe", "sync"]);
    assert!(may_use("limiter", "core") && !may_use("core", "limiter"));
    assert!(may_use("admission", "sync") && !may_use("sync", "admission"));
    assert!(may_use("observe", "rejection") && !may_use("rejection", "observe"));
    assert!(may_use("core", "core") && !may_use("unknown", "core"));
}

/// Every file of the crate has its place.
#[test]
fn all_modules_are_known() {
    let src = src();
    for file in files(&src) {
        let module = module_of(&file, &src);
        let known = LAYERS.contains(&&*module) || LEAVES.iter().any(|(leaf, _)| *leaf == module);
        assert!(
            known || module == "lib" || module == "guide", // which has no code
            "module `{module}` has no place in the layers yet"
        );
    }
}
