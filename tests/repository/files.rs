//! What holds for each file of `src/`, and between them; `redis` aside.
//!
//! An exception is listed until it is gone: a test fails, too, where one is not needed any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{SourceFile, Uses};

const MOST_LINES: usize = 400;

const LONGER: &[&str] = &[
    "admission/lanes.rs",
    "admission/queue.rs",
    "admission/resource_queue.rs",
];

const NAMED_TWICE: &[&str] = &[
    "Arrival", "Entry", "Lane", "Lanes", "Overload", "Rate", "Waiter",
];

const IN_CYCLES: &[&[&str]] = &[&[
    "admission/aside.rs",
    "admission/order.rs",
    "admission/queue.rs",
    "admission/resource_queue.rs",
]];

#[test]
fn a_file_holds_one_thing() {
    let all = SourceFile::all();
    let longer = all.iter().filter(|file| file.lines() > MOST_LINES);
    let longer: Vec<_> = longer.map(|file| &*file.path).collect();
    assert_eq!(longer, LONGER, "files of more than {MOST_LINES} lines");
}

#[test]
fn a_name_means_one_type() {
    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in SourceFile::all() {
        for name in file.types() {
            files.entry(name).or_default().insert(file.path.clone());
        }
    }
    files.retain(|_, files| files.len() > 1);
    let names: Vec<_> = files.keys().collect();
    assert_eq!(names, NAMED_TWICE, "types of one name: {files:#?}");
}

#[test]
fn files_import_each_other_one_way() {
    let all = SourceFile::all();
    let uses = Uses::new(&all).by_file();
    // All that can be reached from each file.
    let mut reach = uses.clone();
    loop {
        let further = |set: &BTreeSet<usize>| -> BTreeSet<usize> {
            let further = set.iter().flat_map(|file| reach[*file].iter());
            set.iter().chain(further).copied().collect()
        };
        let next: Vec<_> = reach.iter().map(further).collect();
        if next == reach {
            break;
        }
        reach = next;
    }
    let mut cycles = BTreeSet::new();
    for (file, reached) in reach.iter().enumerate() {
        if reached.contains(&file) {
            let both = reached
                .iter()
                .filter(|other| reach[**other].contains(&file));
            cycles.insert(both.map(|other| &*all[*other].path).collect::<Vec<_>>());
        }
    }
    let cycles: Vec<_> = cycles.into_iter().collect();
    for cycle in &cycles {
        for (file, uses) in all.iter().zip(&uses) {
            let inside = uses.iter().map(|other| &*all[*other].path);
            let inside: Vec<_> = inside.filter(|other| cycle.contains(other)).collect();
            if cycle.contains(&&*file.path) {
                println!("{} uses {inside:?}", file.path);
            }
        }
    }
    assert_eq!(cycles, IN_CYCLES, "files that import each other");
}
