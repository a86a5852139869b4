//! The README is read on crates.io and docs.rs, where nothing beside it is found by a relative
//! path.

use std::{fs, path::Path};

const README: &str = include_str!("../../README.md");

/// Where each link and image of a text leads.
fn targets(text: &str) -> Vec<&str> {
    let starts = text.match_indices("](").map(|(at, mark)| at + mark.len());
    starts
        .filter_map(|start| text[start..].split(')').next())
        .collect()
}

#[test]
fn every_link_of_the_readme_is_absolute_or_on_its_page() {
    let targets = targets(README);
    assert!(targets.len() > 5, "they are found: {targets:?}");
    let relative = |target: &&&str| !target.starts_with("https://") && !target.starts_with('#');
    let relative: Vec<_> = targets.iter().filter(relative).collect();
    assert!(relative.is_empty(), "{relative:?}");
}

/// A link into the documentation names a heading that is there.
#[test]
fn every_section_that_the_readme_links_to_exists() {
    const CRATE: &str =
        "https://docs.rs/tower-concurrency-limiter/latest/tower_concurrency_limiter/";
    let inside = targets(README)
        .into_iter()
        .filter_map(|t| t.strip_prefix(CRATE));
    for target in inside {
        let (path, section) = match target.split_once('#') {
            Some((path, section)) => (path, Some(section)),
            None => (target, None),
        };
        let text = source_of(path);
        let Some(section) = section else {
            continue;
        };
        let mut headings = text.lines().filter_map(|line| {
            let heading = line.strip_prefix("//! ")?;
            let title = heading.trim_start_matches('#').strip_prefix(' ')?;
            heading.starts_with('#').then(|| id_of(title))
        });
        assert!(headings.any(|id| id == section), "{target}");
    }
}

/// The source of a page: of a module, or of the crate.
fn source_of(page: &str) -> String {
    let module = page.trim_end_matches("index.html").trim_end_matches('/');
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = match module {
        "" => vec![src.join("lib.rs")],
        module => vec![
            src.join(format!("{module}.rs")),
            src.join(module).join("mod.rs"),
        ],
    };
    let file = files.iter().find(|file| file.is_file());
    let file = file.unwrap_or_else(|| panic!("{page} is the page of a module"));
    fs::read_to_string(file).expect("a source file")
}

/// As rustdoc makes it of a heading.
fn id_of(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
