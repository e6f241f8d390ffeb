//! Imports go down only: `domain`, `aws`, `store` and `bus`, `lambda`, `http`, the functions, the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::sources::{
    Files, Graph, calls, cycle, files, imports, read, root, sources, store_methods,
};

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

#[test]
fn files_of_the_domain_import_each_other_in_one_direction() {
    let files = files("domain");
    let graph = imports("domain", &files);
    assert!(graph["pool"].contains("pool::balance"), "{graph:?}");
    assert!(graph["hold"].contains("error"), "a name that the domain re-exports: {graph:?}");
    assert_eq!(cycle(&graph), None);
}

/// The test of cycles finds each of these imports of a hold by the errors.
#[test]
fn an_import_of_any_form_makes_a_cycle() {
    for planted in [
        "use crate::domain::hold::Hold;",
        "use crate::domain::{Credits, hold::{self, Hold}};",
        "pub(crate) use super::hold::Hold as Other;",
        "use crate::domain::Hold;",
        "use crate::domain;\nfn planted(_: &domain::hold::Hold) {}",
        "fn planted(_: &crate::domain::hold::Hold) {}",
        "fn planted(_: &super::Hold) {}",
    ] {
        let mut files = files("domain");
        files.get_mut("").unwrap().push_str("\npub use hold::Hold;\n");
        files.get_mut("error").unwrap().push_str(planted);
        let found = cycle(&imports("domain", &files));
        assert!(found.is_some_and(|found| found.contains(&"error".to_owned())), "{planted}");
    }
}

#[test]
fn files_of_the_store_import_each_other_in_one_direction() {
    let graph = imports("store", &files("store"));
    assert!(graph["charge"].contains("charge::admission"), "{graph:?}");
    assert!(graph["charge::admission"].contains("entry"), "{graph:?}");
    assert_eq!(cycle(&graph), None);
}

/// The files of the store that each file imports, or whose methods its methods call.
fn uses_of_files(files: &Files) -> Graph {
    let mut uses = imports("store", files);
    let methods = store_methods(files);
    for (file, calls) in methods.values() {
        let called = calls.iter().map(|method| methods[method].0.clone());
        let of_file = uses.entry(file.clone()).or_default();
        // The module itself has only methods that read its fields.
        of_file.extend(called.filter(|other| other != file && !other.is_empty()));
    }
    uses
}

#[test]
fn methods_of_the_store_call_each_other_in_one_direction() {
    let files = files("store");
    let methods = store_methods(&files);
    assert!(methods["charge"].1.contains("charge_coalesced"), "{methods:?}");
    let mut calls: Graph =
        methods.iter().map(|(name, (_, calls))| (name.clone(), calls.clone())).collect();
    assert_eq!(cycle(&calls), None);
    assert_eq!(cycle(&uses_of_files(&files)), None);

    calls.get_mut("pool_read").unwrap().insert("charge".to_owned());
    assert!(cycle(&calls).is_some());
}

/// The uses of files that are not in a group above in the list of modules.
fn uses_against_the_groups(modules: &str, uses: &Graph) -> Vec<String> {
    let mut groups = BTreeMap::new();
    for (number, group) in modules.split("\n\n").enumerate() {
        let names = group.lines().filter_map(|line| line.strip_suffix(';')?.split_once("mod "));
        groups.extend(names.map(|(_, name)| (name, number)));
    }
    let top = |file: &str| file.split("::").next().unwrap().to_owned();
    let pairs = uses.iter().flat_map(|(file, used)| used.iter().map(move |used| (file, used)));
    let pairs = pairs.map(|(file, used)| (top(file), top(used)));
    let wrong = pairs.filter(|(file, used)| {
        file != used
            && groups[used.as_str()] >= groups.get(file.as_str()).copied().unwrap_or(usize::MAX)
    });
    wrong.map(|(file, used)| format!("{file} uses {used}")).collect()
}

#[test]
fn files_of_the_store_use_files_of_the_groups_above_only() {
    let modules = read("shared/src/store/mod.rs");
    let uses = uses_of_files(&files("store"));
    assert!(uses["charge"].contains("hold"), "a call of a method: {uses:?}");
    assert!(uses["charge::write"].contains("lane_cache"), "an import: {uses:?}");
    assert_eq!(uses_against_the_groups(&modules, &uses), [""; 0]);

    for (file, used) in
        [("charge", "monitored_month"), ("charge::write", "top_up"), ("gift", "hold")]
    {
        let mut planted = uses.clone();
        planted.get_mut(file).unwrap().insert(used.to_owned());
        assert_eq!(uses_against_the_groups(&modules, &planted).len(), 1, "{file} uses {used}");
    }
}

/// `TABLE.md` documents every key prefix that the store builds.
#[test]
fn table_md_documents_every_key() {
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

/// The functions that a text names, such as `charge()`, and the file that it names after each.
fn named(text: &str) -> Vec<(&str, &str)> {
    let spans: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    let functions = spans.iter().enumerate().filter_map(|(position, span)| {
        let file = spans[position..].iter().find(|span| span.contains(".rs"))?;
        Some((span.strip_suffix("()")?, *file))
    });
    functions.collect()
}

/// A section of a document, up to the next one.
fn section<'a>(document: &'a str, title: &str) -> &'a str {
    let section = document.split(&format!("\n## {title}\n")).nth(1).unwrap();
    section.split("\n## ").next().unwrap()
}

/// Calls that the walkthroughs leave out: the caller of a function that they name, or a method of the store that the
/// methods that they name call. The requests that all methods make, and what reads the store's fields, are not named.
fn gaps(document: &str) -> Vec<String> {
    let walkthroughs = section(document, "Walkthroughs");
    let mut gaps = Vec::new();
    let mut before: Vec<(&str, &str)> = Vec::new();
    for walkthrough in walkthroughs.split("\n### ").skip(1) {
        // That walkthrough continues the one before it.
        if !walkthrough.contains("It differs from a charge") {
            before.clear();
        }
        for (position, (function, file)) in named(walkthrough).into_iter().enumerate() {
            // The runtime calls the first one, and axum the extractors.
            let is_entry = position == 0 || function == "from_request_parts";
            let is_called =
                before.iter().any(|(caller, file)| calls(&read(file), caller, function));
            if !is_entry && !is_called {
                gaps.push(format!("a caller of {function}() in {file}"));
            }
            before.push((function, file));
        }
    }
    let named: BTreeSet<&str> =
        named(walkthroughs).into_iter().map(|(function, _)| function).collect();
    let methods = store_methods(&files("store"));
    let mut left_out: BTreeSet<&str> = BTreeSet::new();
    for (_, called) in named.iter().filter_map(|name| methods.get(*name)) {
        left_out.extend(called.iter().map(String::as_str).filter(|call| !named.contains(call)));
    }
    left_out.retain(|method| {
        let (file, _) = &methods[*method];
        !file.is_empty() && file != "dynamo::request"
    });
    gaps.extend(left_out.iter().map(|method| format!("{method}()")));
    gaps
}

/// A walkthrough names functions in the order of their calls. Each is in the file that the walkthrough names.
#[test]
fn walkthroughs_follow_the_calls() {
    let document = read("shared/docs/ARCHITECTURE.md");
    let functions = named(section(&document, "Walkthroughs"));
    for (function, file) in &functions {
        let is_defined = [format!("fn {function}("), format!("fn {function}<")];
        let text = read(file);
        assert!(is_defined.iter().any(|fn_| text.contains(fn_)), "{function}() in {file}");
    }
    assert!(functions.len() > 60, "the walkthroughs name {} functions", functions.len());
    assert_eq!(gaps(&document), [""; 0]);

    for (left_out, gap) in [
        ("contended_pool_handle", "contended_pool_handle()"),
        ("expired_holds_read", "expired_holds_read()"),
        ("months_charged", "months_charged()"),
        ("holds_expire", "a caller of holds_expire_once() in shared/src/store/hold_expiry.rs"),
        ("upkeep_run", "a caller of due_changes_make() in shared/src/store/upkeep.rs"),
        ("process", "a caller of read() in functions/relay/src/lib.rs"),
    ] {
        let planted = document.replace(&format!("`{left_out}()`"), "It");
        assert!(gaps(&planted).contains(&gap.to_owned()), "{left_out}: {:?}", gaps(&planted));
    }
}

/// From the method that writes a group, the methods of a charge are at most three deep.
#[test]
fn a_charge_is_at_most_three_methods_deep() {
    fn depth(methods: &BTreeMap<String, (String, BTreeSet<String>)>, method: &str) -> usize {
        let of_a_charge = |call: &&String| methods[*call].0.starts_with("charge");
        let calls = methods[method].1.iter().filter(of_a_charge);
        1 + calls.map(|call| depth(methods, call)).max().unwrap_or(0)
    }
    let methods = store_methods(&files("store"));
    assert_eq!(depth(&methods, "charge_group"), 3);
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
