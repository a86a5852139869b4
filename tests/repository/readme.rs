//! The README is read on crates.io and docs.rs, where nothing beside it is found by a relative
//! path.

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
    let pages = [
        ("redis/", include_str!("../../src/redis/mod.rs")),
        (
            "guide/overload/index.html",
            include_str!("../../src/guide/overload.rs"),
        ),
        ("guide/index.html", include_str!("../../src/guide/mod.rs")),
        ("", include_str!("../../src/lib.rs")),
    ];
    let inside = targets(README)
        .into_iter()
        .filter_map(|t| t.strip_prefix(CRATE));
    for target in inside {
        let page = pages.iter().find(|(path, _)| target.starts_with(path));
        let (path, text) = page.expect("a page");
        let Some(section) = target[path.len()..].strip_prefix('#') else {
            assert_eq!(target, *path);
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

/// As rustdoc makes it of a heading.
fn id_of(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
