//! Imports go down only: `domain`, `aws`, `store` and `bus`, `lambda`, `http`, the functions, the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn assert_free_of(directory: &str, banned: &[&str]) {
    let files = sources(&root().join(directory));
    assert!(!files.is_empty(), "{directory} has no sources");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let word = banned.iter().find(|word| line.contains(**word));
            assert_eq!(word, None, "{}:{}", file.display(), number + 1);
        }
    }
}

#[test]
fn the_domain_imports_no_upper_layer_and_no_io() {
    let above = [
        "crate::aws",
        "crate::store",
        "crate::bus",
        "crate::lambda",
        "crate::http",
        "super::super",
    ];
    let outside =
        ["aws_", "axum", "lambda_", "tokio", "std::env", "std::fs", "Timestamp::now", "SystemTime"];
    assert_free_of("shared/src/domain", &[&above[..], &outside[..]].concat());
}

#[test]
fn the_aws_layer_imports_no_service() {
    let above = ["crate::store", "crate::bus", "crate::lambda", "crate::http"];
    assert_free_of("shared/src/aws", &[&above[..], &["aws_sdk_"]].concat());
}

#[test]
fn lambda_imports_nothing_of_http() {
    assert_free_of("shared/src/lambda", &["crate::http", "axum"]);
}

#[test]
fn the_store_and_the_bus_import_neither_each_other_nor_http() {
    let outside =
        ["crate::lambda", "crate::http", "axum", "lambda_", "Timestamp::now", "SystemTime"];
    assert_free_of("shared/src/store", &[&["crate::bus", "eventbridge"], &outside[..]].concat());
    assert_free_of("shared/src/bus", &[&["crate::store", "dynamodb"], &outside[..]].concat());
}

#[test]
fn functions_depend_on_neither_each_other_nor_the_tests() {
    let names: Vec<String> = fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() >= 5);
    for name in &names {
        let manifest =
            fs::read_to_string(root().join(format!("functions/{name}/Cargo.toml"))).unwrap();
        let dependencies: Vec<&str> = manifest
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            // A function does not link its dev-dependencies.
            .take_while(|line| *line != "[dev-dependencies]")
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .collect();
        for banned in
            names.iter().map(String::as_str).chain(["engine", "simulator", "local", "dynoxide"])
        {
            assert!(!dependencies.contains(&banned), "{name} depends on {banned}");
        }
    }
}

#[test]
fn the_top_level_contains_listed_entries_only() {
    let agreed = [
        "Cargo.toml",
        "Cargo.lock",
        "clippy.toml",
        "rustfmt.toml",
        "functions",
        "shared",
        "template.yaml",
        "events",
        "tests",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || agreed.contains(&name.as_str()),
            "{name} is not a listed entry of the top level"
        );
    }
}

/// The files of a module under `shared/src` and the files of the module that each imports outside
/// its tests.
fn imports(module: &str) -> BTreeMap<String, BTreeSet<String>> {
    let directory = root().join("shared/src").join(module);
    let name = |file: &Path| {
        let path = file.strip_prefix(&directory).unwrap().with_extension("");
        let path = path.to_str().unwrap().replace('/', "::");
        path.trim_end_matches("mod").trim_end_matches("::").to_owned()
    };
    let files: BTreeMap<String, PathBuf> =
        sources(&directory).into_iter().map(|file| (name(&file), file)).collect();
    let imported = |own: &str, file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let prefix = format!("use crate::{module}::");
        let parent = own.rsplit_once("::").map(|(parent, _)| format!("{parent}::"));
        let parent = format!("{prefix}{}", parent.unwrap_or_default());
        let mut text = text.replace("use super::", &parent);
        // A module imports its own files by their names.
        for inner in files.keys().filter_map(|file| file.strip_prefix(&format!("{own}::"))) {
            text = text.replace(&format!("use {inner}::"), &format!("{prefix}{own}::{inner}::"));
        }
        let uses = text.split(&prefix).skip(1).map(|rest| rest.split(';').next().unwrap());
        let paths = uses.flat_map(|path| {
            let path: String = path.split_whitespace().collect();
            let inner = path.strip_prefix('{').and_then(|path| path.strip_suffix('}'));
            inner.map_or_else(
                || vec![path.clone()],
                |list| list.split(',').map(str::to_owned).collect(),
            )
        });
        // A path belongs to the file with the longest matching prefix.
        let file_of = |path: String| {
            let path = path.split('{').next().unwrap().trim_end_matches("::").to_owned();
            let mut beginning = path.as_str();
            while !files.contains_key(beginning) {
                beginning = beginning.rsplit_once("::")?.0;
            }
            Some(beginning.to_owned())
        };
        paths.filter_map(file_of).filter(|file| file != own).collect()
    };
    files.iter().map(|(own, file)| (own.clone(), imported(own, file))).collect()
}

/// Returns a chain of imports from a file back to itself.
fn cycle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn from(
        path: &mut Vec<String>,
        imports: &BTreeMap<String, BTreeSet<String>>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        let last = path.last().unwrap().clone();
        if path[..path.len() - 1].contains(&last) {
            return true;
        }
        if done.contains(&last) {
            return false;
        }
        for next in &imports[&last] {
            path.push(next.clone());
            if from(path, imports, done) {
                return true;
            }
            path.pop();
        }
        done.insert(last);
        false
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|file| {
        let mut path = vec![file.clone()];
        from(&mut path, imports, &mut done).then_some(path)
    })
}

#[test]
fn files_of_the_domain_import_each_other_in_one_direction() {
    let imports = imports("domain");
    assert!(imports["pool"].contains("pool::balance"), "{imports:?}");
    assert_eq!(cycle(&imports), None);
    let mut with_a_cycle = imports;
    with_a_cycle.get_mut("pool::balance").unwrap().insert("pool".to_owned());
    assert!(cycle(&with_a_cycle).is_some());
}

#[test]
fn files_of_the_store_import_each_other_in_one_direction() {
    let imports = imports("store");
    assert!(imports["charge"].contains("charge::admission"), "{imports:?}");
    assert!(imports["charge::admission"].contains("entry"), "{imports:?}");
    assert_eq!(cycle(&imports), None);
}

/// The methods of `Store`, by name: the file of each, and the methods that it calls.
fn store_methods() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let mut bodies = BTreeMap::new();
    for file in sources(&root().join("shared/src/store")) {
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("\nimpl Store {\n").skip(1) {
            let block = block.split("\n}\n").next().unwrap();
            for method in format!("\n{block}").split("fn ").skip(1) {
                let (name, body) = method.split_once('(').unwrap();
                bodies.insert(name.to_owned(), (file.clone(), body.to_owned()));
            }
        }
    }
    let names: BTreeSet<String> = bodies.keys().cloned().collect();
    let called = |body: &str| {
        let body: String = body.split_whitespace().collect();
        let calls = body.split("self.").skip(1).filter_map(|call| call.split_once('('));
        calls.map(|(name, _)| name.to_owned()).filter(|name| names.contains(name)).collect()
    };
    bodies.into_iter().map(|(name, (file, body))| (name, (file, called(&body)))).collect()
}

#[test]
fn methods_of_the_store_call_each_other_in_one_direction() {
    let methods = store_methods();
    assert!(methods["charge"].1.contains("charge_coalesced"), "{methods:?}");
    let mut calls: BTreeMap<String, BTreeSet<String>> =
        methods.iter().map(|(name, (_, calls))| (name.clone(), calls.clone())).collect();
    assert_eq!(cycle(&calls), None);

    let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let name = |file: &Path| file.to_str().unwrap().to_owned();
    for (file, calls) in methods.values() {
        let called = calls.iter().map(|method| name(&methods[method].0));
        files.entry(name(file)).or_default().extend(called.filter(|other| *other != name(file)));
    }
    assert_eq!(cycle(&files), None);

    calls.get_mut("pool_read").unwrap().insert("charge".to_owned());
    assert!(cycle(&calls).is_some());
}

/// `TABLE.md` documents every key prefix that the store builds.
#[test]
fn table_md_documents_every_key() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (keys, table) = (read("shared/src/store/dynamo/keys.rs"), read("shared/docs/TABLE.md"));
    let prefixes: BTreeSet<&str> = keys
        .split('"')
        .skip(1)
        .step_by(2)
        .filter_map(|text| text.split_once('#').map(|(prefix, _)| prefix))
        .filter(|prefix| !prefix.is_empty() && prefix.chars().all(|c| c.is_ascii_uppercase()))
        .collect();
    assert!(prefixes.contains("ENTRY") && prefixes.len() >= 9, "{prefixes:?}");
    for prefix in prefixes {
        assert!(table.contains(&format!("`{prefix}#")), "{prefix}#");
    }
}

/// Each function that a walkthrough names is in the file that it names.
#[test]
fn walkthroughs_name_functions_that_exist() {
    let document = fs::read_to_string(root().join("shared/docs/ARCHITECTURE.md")).unwrap();
    let walkthroughs = document.split("## Walkthroughs").nth(1).unwrap();
    let spans: Vec<&str> = walkthroughs.split('`').skip(1).step_by(2).collect();
    let mut functions = 0;
    for (position, span) in spans.iter().enumerate() {
        let Some(function) = span.strip_suffix("()") else { continue };
        let file = spans[position..].iter().find(|span| span.contains(".rs")).unwrap();
        let text = fs::read_to_string(root().join(file)).expect(file);
        let is_defined = [format!("fn {function}("), format!("fn {function}<")];
        assert!(is_defined.iter().any(|text_of| text.contains(text_of)), "{function}() in {file}");
        functions += 1;
    }
    assert!(functions > 60, "the walkthroughs name {functions} functions");
}

/// A target with `test = false` links no test executable, so its tests would not run.
#[test]
fn packages_without_test_executables_contain_no_unit_tests() {
    let folders = ["functions", "tests"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let packages = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut untested = 0;
    for package in packages.chain([root().join("shared")]) {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        let section = |name: &str| {
            let section = manifest.split(name).nth(1)?;
            section.split("\n[").next()
        };
        let is_untested =
            section("[lib]\n").is_none_or(|lib| lib.lines().any(|line| line == "test = false"));
        for file in sources(&package.join("src")).iter().filter(|_| is_untested) {
            let text = fs::read_to_string(file).unwrap();
            assert!(!text.contains("#[cfg(test)]"), "{} has tests that do not run", file.display());
            untested += 1;
        }
    }
    assert!(untested > 0);
}
