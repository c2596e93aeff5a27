//! The rules of the house that a machine can check: layers, lengths, and what has no place in `src`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 40;

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("it is text");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found
}

/// The lines of code, numbered from one, without comments and without the file's test modules.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    code.take_while(|(_, line)| !line.starts_with("#[cfg(all(test") && *line != "#[cfg(test)]")
        .map(|(n, line)| (n, line.split("//").next().unwrap_or_default()))
}

/// Module → layer, from the table in the crate's own docs.
fn layers() -> HashMap<String, u32> {
    let lib = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).expect("text");
    let mut layers = HashMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = line.split('|').map(str::trim);
        let Some(Ok(layer)) = cells.next().map(str::parse) else { continue };
        let modules = cells.next().expect("a cell with the modules");
        for module in modules.split_whitespace() {
            layers.insert(module.trim_matches('`').to_owned(), layer);
        }
    }
    layers
}

/// The top-level module that a file of `src` belongs to.
fn module_of(path: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = path.strip_prefix(src).expect("a file of src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_down_the_layer_table() {
    let layers = layers();
    let mut wrong = Vec::new();
    for (path, text) in files("src") {
        let own = module_of(&path);
        if own == "lib" || own == "scenarios" {
            continue; // those use the crate's face, as a test does
        }
        let layer = *layers.get(&own).unwrap_or_else(|| panic!("`{own}` is in no layer"));
        for (n, line) in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used != own && layers.get(&used).is_none_or(|below| *below >= layer) {
                    wrong.push(format!("{}:{n} uses `{used}`", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_is_in_the_layer_table_once() {
    let mut modules: Vec<_> = files("src").iter().map(|(path, _)| module_of(path)).collect();
    modules.sort();
    modules.dedup();
    modules.retain(|module| module != "lib");
    let mut listed: Vec<_> = layers().into_keys().collect();
    listed.sort();
    assert_eq!(modules, listed);
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for (path, text) in files("src") {
        let lines = code(&text).count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
        let mut start = None;
        for (n, line) in code(&text) {
            let indent = line.len() - line.trim_start().len();
            if line.contains("fn ") && line.trim_end().ends_with('{') {
                start = Some((n, indent));
            }
            let Some((from, depth)) = start else { continue };
            if line.trim_end() == format!("{}}}", " ".repeat(depth)) {
                if n - from > LONGEST_FUNCTION {
                    wrong.push(format!("{}:{from}: {} lines", path.display(), n - from));
                }
                start = None;
            }
        }
    }
    assert!(wrong.is_empty(), "too long:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_its_idea_first() {
    for folder in ["src", "tests", "benches", "examples"] {
        for (path, text) in files(folder) {
            assert!(text.starts_with("//! "), "{} has no header", path.display());
        }
    }
}

#[test]
fn the_primitives_are_named_in_one_file() {
    let mut wrong = Vec::new();
    for (path, text) in files("src") {
        // What a model and its scenarios keep for themselves must be no step of it.
        let own = module_of(&path);
        if own == "sync" || own == "scenarios" || path.ends_with("queue/model.rs") {
            continue;
        }
        for (n, line) in code(&text) {
            let primitive =
                ["sync::Mutex", "sync::{Mutex", "sync::Condvar", "sync::RwLock", "atomic::"];
            let named = primitive.iter().any(|name| line.contains(&format!("std::{name}")));
            // A static of loom's can not be made in a constant: the one counter of job numbers.
            if named && !path.ends_with("info.rs") {
                wrong.push(format!("{}:{n}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "beside the facade:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_undone_and_no_test_sleeps() {
    let mut wrong = Vec::new();
    let banned =
        [".unwrap()", concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!(")];
    for (path, text) in files("src") {
        for (n, line) in code(&text) {
            if banned.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{n}: {}", path.display(), line.trim()));
            }
        }
    }
    for (path, text) in files("tests") {
        for (n, line) in text.lines().enumerate() {
            if line.contains(concat!("thread::sl", "eep(")) {
                wrong.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_ordering_has_its_note() {
    let mut wrong = Vec::new();
    for (path, text) in files("src") {
        if path.ends_with("models.rs") {
            continue;
        }
        let lines: Vec<_> = text.lines().collect();
        for (n, line) in code(&text) {
            let is_use = line.trim_start().starts_with("use ") || line.contains("pub(crate) use");
            let orders = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
            let ordered = orders.iter().any(|order| line.contains(&format!("Ordering::{order}")));
            let above = &lines[n.saturating_sub(12)..n];
            if ordered && !is_use && !above.iter().any(|line| line.contains("ORDERING")) {
                wrong.push(format!("{}:{n}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "orderings without a note:\n{}", wrong.join("\n"));
}
