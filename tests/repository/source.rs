//! The source files of the crate, and what they import, as far as the tests beside this one need
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A file below `src/` that is not a test.
pub(crate) struct SourceFile {
    /// Below `src/`.
    pub(crate) path: String,
    /// The module: `["core", "timer"]` for `core/timer.rs`; none for `lib.rs`.
    module: Vec<String>,
    /// Without the tests at its end.
    text: String,
}

/// The code without comments: documentation may point anywhere.
pub(crate) fn code(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files below `directory`.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

impl SourceFile {
    /// All of the crate, `redis` aside.
    pub(crate) fn all() -> Vec<Self> {
        let src = src();
        let mut all: Vec<Self> = files(&src)
            .iter()
            .map(|file| {
                let path = file.strip_prefix(&src).expect("below src");
                let path = path.to_str().expect("UTF-8").to_owned();
                Self::new(path, &fs::read_to_string(file).expect("a source file"))
            })
            .filter(|file| file.module.first().is_none_or(|first| first != "redis"))
            .filter(|file| !file.module.iter().any(|name| name.ends_with("tests")))
            .collect();
        all.sort_by(|one, other| one.path.cmp(&other.path));
        all
    }

    fn new(path: String, text: &str) -> Self {
        let module = path.trim_end_matches(".rs").split('/').map(str::to_owned);
        let module = module.filter(|name| name != "mod" && name != "lib");
        Self {
            module: module.collect(),
            text: without_tests(text),
            path,
        }
    }

    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// The types and traits that the file defines outside of functions.
    pub(crate) fn types(&self) -> Vec<String> {
        let defined = |line: &str| {
            let mut words = line.split_whitespace();
            let mut word = words.next()?;
            if word.starts_with("pub") {
                word = words.next()?;
            }
            let is_type = ["struct", "enum", "union", "trait", "type"].contains(&word);
            is_type.then(|| identifier(words.next().unwrap_or_default()).to_owned())
        };
        let items = self.text.lines().filter(|line| !line.starts_with(' '));
        items.filter_map(defined).collect()
    }

    /// The paths of the `use` declarations, and the names that they give.
    fn imports(&self) -> Vec<(Vec<String>, String)> {
        let code = code(&self.text);
        let mut imports = Vec::new();
        let mut rest = &*code;
        while let Some(at) = rest.find("use ") {
            let line = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let before = rest[line..at].trim();
            rest = &rest[at + "use ".len()..];
            if before.is_empty() || before.starts_with("pub") {
                let end = rest.find(';').unwrap_or(rest.len());
                expand(&rest[..end], &[], &mut imports);
            }
        }
        imports
    }

    /// The paths in the code that begin with `crate::` or `super::`.
    fn paths(&self) -> Vec<Vec<String>> {
        let code = code(&self.text);
        let begins = ["crate::", "super::"];
        let starts = begins.iter().flat_map(|begin| code.match_indices(begin));
        let starts = starts.filter(|(at, _)| {
            let before = code[..*at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
        });
        starts.map(|(at, _)| segments(&code[at..])).collect()
    }
}

/// Up to the tests at the end.
fn without_tests(text: &str) -> String {
    let mut lines = Vec::new();
    let mut all = text.lines().peekable();
    while let Some(line) = all.next() {
        let is_inline = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line.starts_with("#[cfg(") && line.contains("test") && all.peek().is_some_and(is_inline)
        {
            break;
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// The identifier that a text begins with.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn segments(mut text: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let name = identifier(text);
        if name.is_empty() {
            return all;
        }
        all.push(name.to_owned());
        match text[name.len()..].strip_prefix("::") {
            Some(rest) => text = rest,
            None => return all,
        }
    }
}

/// Takes a tree of imports apart: `a::{B, c::D as E}`.
fn expand(tree: &str, prefix: &[String], imports: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    let mut path = prefix.to_vec();
    path.extend(segments(tree));
    if let Some((_, group)) = tree.split_once('{') {
        let group = group.rsplit_once('}').map_or(group, |(inner, _)| inner);
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        expand(&group[start..at], &path, imports);
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let alias = tree.split_once(" as ").map(|(_, alias)| alias.trim());
    let name = alias.map(str::to_owned).or_else(|| path.last().cloned());
    imports.extend(name.map(|name| (path, name)));
}

/// Which file uses which, by what their paths lead to in the end: a name that a module passes on
/// counts for the file that defines it.
pub(crate) struct Uses<'a> {
    files: &'a [SourceFile],
    modules: BTreeMap<&'a [String], usize>,
    names: Vec<BTreeMap<String, Vec<String>>>,
}

impl<'a> Uses<'a> {
    pub(crate) fn new(files: &'a [SourceFile]) -> Self {
        let modules = files.iter().enumerate();
        let modules = modules.map(|(index, file)| (&*file.module, index));
        let mut uses = Self {
            files,
            modules: modules.collect(),
            names: Vec::new(),
        };
        for file in files {
            let imports = file.imports().into_iter();
            let names =
                imports.filter_map(|(path, name)| Some((name, uses.absolute(file, &path)?)));
            let names = names.collect();
            uses.names.push(names);
        }
        uses
    }

    /// A path of `file` from the root of the crate; none, if it leads to another crate.
    fn absolute(&self, file: &SourceFile, path: &[String]) -> Option<Vec<String>> {
        let mut module = file.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                module.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {
                while let Some((_, after)) = rest.split_first().filter(|(s, _)| *s == "super") {
                    module.pop();
                    rest = after;
                }
            }
            Some(first) => {
                let mut child = module.clone();
                child.push(first.to_owned());
                if !self.modules.contains_key(&*child) {
                    return None;
                }
            }
            None => {}
        }
        module.extend(rest.iter().cloned());
        Some(module)
    }

    /// The file that defines what an absolute path names.
    fn definition(&self, path: &[String], hops: usize) -> Option<usize> {
        let mut module = 0;
        while module < path.len() && self.modules.contains_key(&path[..=module]) {
            module += 1;
        }
        let file = *self.modules.get(&path[..module])?;
        let passed_on = path.get(module).and_then(|name| self.names[file].get(name));
        match passed_on {
            Some(to) if hops > 0 && to != path => self.definition(to, hops - 1),
            _ => Some(file),
        }
    }

    /// The files that each uses. A module and those inside it are one to each other: a type may
    /// have its methods in files below its own.
    pub(crate) fn by_file(&self) -> Vec<BTreeSet<usize>> {
        let used = |file: &SourceFile| {
            let imports = file.imports().into_iter().map(|(path, _)| path);
            let paths = imports.chain(file.paths());
            let absolute = paths.filter_map(|path| self.absolute(file, &path));
            let used = absolute.filter_map(|path| self.definition(&path, 8));
            let apart = |other: &usize| {
                let (one, other) = (&file.module, &self.files[*other].module);
                !one.starts_with(other) && !other.starts_with(one)
            };
            used.filter(apart).collect()
        };
        self.files.iter().map(used).collect()
    }
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let file = |path: &str, text: &str| SourceFile::new(path.to_owned(), text);
    let files = [
        file(
            "a/mod.rs",
            "mod b;\nmod c;\npub use b::{B, Other as Another};",
        ),
        file(
            "a/b.rs",
            "use super::c::{self, C}; // super::d\nstruct B;\n#[cfg(test)]\nmod tests {\nuse d::D;",
        ),
        file(
            "a/c.rs",
            "use std::fmt;\npub(crate) enum C { D(crate::d::D) }",
        ),
        file(
            "d.rs",
            "use crate::{\n    a::{\n        Another,\n    },\n};\ntype D = Another;",
        ),
    ];
    let uses = Uses::new(&files).by_file();
    assert_eq!(uses, [[].into(), [2].into(), [3].into(), [1].into()]);
    assert_eq!(files[2].types(), ["C"]);
    assert_eq!(
        (files[1].lines(), files[1].types()),
        (2, vec!["B".to_owned()])
    );
}
