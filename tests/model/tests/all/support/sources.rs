//! The source files of the repository: what they import and what their functions call.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The texts of files by their module paths, such as `charge::write`. The module that contains them all has the empty
/// path.
pub type Files = BTreeMap<String, String>;

/// The files or functions that each file or function uses.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file, by its path in the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// The paths of all source files in a directory.
pub fn sources(directory: &Path) -> Vec<PathBuf> {
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

/// The files of a module under `shared/src`, without their tests and comments.
pub fn files(module: &str) -> Files {
    let directory = root().join("shared/src").join(module);
    let files = sources(&directory).into_iter().map(|file| {
        let path = file.strip_prefix(&directory).unwrap().with_extension("");
        let path = path.to_str().unwrap().replace('/', "::");
        let path = path.strip_suffix("mod").unwrap_or(&path).trim_end_matches("::").to_owned();
        (path, code(&fs::read_to_string(file).unwrap()))
    });
    files.collect()
}

/// A text without its unit tests and without lines that are comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("//")).collect()
}

/// The files of `module` that each of its files names, in an import or in a path elsewhere. A name that a file
/// re-exports belongs to the file that defines it.
pub fn imports(module: &str, files: &Files) -> Graph {
    let names = files.iter().map(|(file, text)| (file.as_str(), Names::of(text))).collect();
    let scope = Scope { module, names };
    let imported = |file: &String| {
        let Names { imports, paths } = &scope.names[file.as_str()];
        let paths = imports.values().chain(paths).map(String::as_str);
        let found = paths.filter_map(|path| scope.file_of(file, path));
        found.filter(|found| !found.is_empty() && found != file).collect()
    };
    let inner = files.keys().filter(|file| !file.is_empty());
    inner.map(|file| (file.clone(), imported(file))).collect()
}

/// The paths in a file.
struct Names {
    /// The imported paths by the names that they have in the file.
    imports: BTreeMap<String, String>,
    /// All other paths.
    paths: BTreeSet<String>,
}

impl Names {
    fn of(text: &str) -> Self {
        let (mut imports, mut rest) = (BTreeMap::new(), String::new());
        let mut lines = text.split_inclusive('\n');
        while let Some(line) = lines.next() {
            let is_import = ["use ", "pub use "].iter().any(|use_| line.trim().starts_with(use_))
                || (line.trim().starts_with("pub(") && line.contains(") use "));
            if !is_import {
                rest.push_str(line);
                continue;
            }
            let mut import = line.split_once("use ").unwrap().1.to_owned();
            while !import.contains(';') {
                import.push_str(lines.next().unwrap());
            }
            expand("", import.split(';').next().unwrap(), &mut imports);
        }
        let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let paths = words.filter(|word| word.contains("::")).map(str::to_owned).collect();
        Self { imports, paths }
    }
}

/// Adds the paths of an import, such as `a::{b, c::{self, D as E}}`.
fn expand(prefix: &str, tree: &str, imports: &mut BTreeMap<String, String>) {
    let tree = tree.trim();
    if let Some((head, list)) = tree.split_once('{') {
        let prefix = format!("{prefix}{}", head.trim());
        let (mut depth, mut start) = (0, 0);
        let list = list.trim_end().strip_suffix('}').unwrap();
        for (index, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&prefix, &list[start..index], imports);
                    start = index + 1;
                }
                _ => {}
            }
        }
        return expand(&prefix, &list[start..], imports);
    }
    let (path, alias) =
        tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let path = format!("{prefix}{path}");
    let path = path.strip_suffix("::self").unwrap_or(&path);
    let name = alias.unwrap_or_else(|| path.rsplit("::").next().unwrap());
    if !name.is_empty() {
        imports.insert(name.to_owned(), path.to_owned());
    }
}

/// The paths of all files of a module.
struct Scope<'a> {
    module: &'a str,
    names: BTreeMap<&'a str, Names>,
}

impl Scope<'_> {
    /// The file of the module that defines what a path in `file` names.
    fn file_of(&self, file: &str, path: &str) -> Option<String> {
        let mut at: Vec<&str> = file.split("::").filter(|name| !name.is_empty()).collect();
        let mut rest = path.split("::").filter(|name| !name.is_empty()).peekable();
        match *rest.peek()? {
            "crate" => {
                rest.next();
                rest.next_if(|name| *name == self.module)?;
                at.clear();
            }
            "self" => {
                rest.next();
            }
            "super" => {
                while rest.next_if(|name| *name == "super").is_some() {
                    at.pop()?;
                }
            }
            first => {
                let is_known = self.names[file].imports.contains_key(first)
                    || self.names.contains_key(joined(file, first).as_str());
                // Other names are types of the file or of other crates.
                is_known.then_some(())?;
            }
        }
        let mut file = at.join("::");
        while let Some(name) = rest.next() {
            let inner = joined(&file, name);
            if self.names.contains_key(inner.as_str()) {
                file = inner;
                continue;
            }
            let Some(import) = self.names[file.as_str()].imports.get(name) else { break };
            let rest = rest.map(|name| format!("::{name}"));
            return self.file_of(&file, &format!("{import}{}", rest.collect::<String>()));
        }
        Some(file)
    }
}

fn joined(file: &str, name: &str) -> String {
    if file.is_empty() { name.to_owned() } else { format!("{file}::{name}") }
}

/// Returns a chain of uses from a node back to itself.
pub fn cycle(graph: &Graph) -> Option<Vec<String>> {
    fn from(path: &mut Vec<String>, graph: &Graph, done: &mut BTreeSet<String>) -> bool {
        let last = path.last().unwrap().clone();
        if path[..path.len() - 1].contains(&last) {
            return true;
        }
        if done.contains(&last) {
            return false;
        }
        for next in graph.get(&last).into_iter().flatten() {
            path.push(next.clone());
            if from(path, graph, done) {
                return true;
            }
            path.pop();
        }
        done.insert(last);
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|node| {
        let mut path = vec![node.clone()];
        from(&mut path, graph, &mut done).then_some(path)
    })
}

/// The methods of `Store`, by name: the file of each, and the methods that it calls.
pub fn store_methods(files: &Files) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut bodies = BTreeMap::new();
    for (file, text) in files {
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

/// Whether a function of that name in `text` names `called`.
pub fn calls(text: &str, function: &str, called: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let names = |body: &str| body.split(|c| !is_name(c)).any(|word| word == called);
    let lines: Vec<&str> = text.lines().collect();
    let body_from = |(start, line): (usize, &&str)| {
        let (_, rest) = line.split_once(&format!("fn {function}"))?;
        if rest.starts_with(is_name) {
            return None;
        }
        let indentation = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indentation}}}");
        let body = lines[start + 1..].iter().take_while(|line| **line != end);
        // A function on one line has no body after it.
        let body: Vec<&str> =
            if line.ends_with('}') { Vec::new() } else { body.copied().collect() };
        Some(format!("{rest}\n{}", body.join("\n")))
    };
    lines.iter().enumerate().filter_map(body_from).any(|body| names(&body))
}
