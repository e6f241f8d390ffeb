//! Imports go down only: `domain` below `aws` below `store` and `bus` below `http` below the functions
//! below the tests.

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
fn the_domain_knows_no_floor_above_and_no_io() {
    let above = ["crate::aws", "crate::store", "crate::bus", "crate::http", "super::super"];
    let outside =
        ["aws_", "axum", "lambda_", "tokio", "std::env", "std::fs", "Timestamp::now", "SystemTime"];
    assert_free_of("shared/src/domain", &[&above[..], &outside[..]].concat());
}

#[test]
fn what_calls_to_aws_have_in_common_knows_none_of_them() {
    assert_free_of("shared/src/aws", &["crate::store", "crate::bus", "crate::http", "aws_sdk_"]);
}

#[test]
fn the_store_and_the_bus_know_neither_each_other_nor_http() {
    let outside = ["crate::http", "axum", "lambda_", "Timestamp::now", "SystemTime"];
    assert_free_of("shared/src/store", &[&["crate::bus", "eventbridge"], &outside[..]].concat());
    assert_free_of("shared/src/bus", &[&["crate::store", "dynamodb"], &outside[..]].concat());
}

#[test]
fn functions_know_neither_each_other_nor_the_tests() {
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
            // What its own tests need is not linked into it.
            .take_while(|line| *line != "[dev-dependencies]")
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .collect();
        for banned in
            names.iter().map(String::as_str).chain(["engine", "physics", "local", "dynoxide"])
        {
            assert!(!dependencies.contains(&banned), "{name} depends on {banned}");
        }
    }
}

#[test]
fn the_top_level_holds_what_was_agreed() {
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
            "{name} is outside the agreed shape"
        );
    }
}
