//! Catalogue files: read, checked and printed.

mod form;
mod json;
mod rules;
pub(crate) mod sample;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use shared::domain::Error;
use shared::domain::catalogue::Catalogue;

pub use table::table;

use json::{Node, line_and_column};

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    line: usize,
    column: usize,
    detail: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.detail)
    }
}

/// The mistakes that were found so far, each with the number of bytes before it.
#[derive(Debug, Default)]
struct Mistakes(BTreeSet<(usize, String)>);

impl Mistakes {
    /// Adds a mistake, unless the same was found at the same place.
    fn add(&mut self, at: usize, detail: impl Into<String>) {
        self.0.insert((at, detail.into()));
    }
}

/// The error of a catalogue file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFile {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file has mistakes.
    #[error(
        "{}:{first}; mistakes: {count}, which `credits catalogue check` lists", path.display()
    )]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// The first mistake.
        first: Mistake,
        /// The number of mistakes.
        count: usize,
    },
    /// The file has no mistake and is not accepted.
    #[error(transparent)]
    Catalogue(#[from] Error),
}

/// All mistakes in the text of a file, in their order. After a violation of the syntax of JSON there is no
/// other one.
#[must_use]
pub fn check(text: &str) -> Vec<Mistake> {
    let file = match Node::parse(text) {
        Ok(file) => file,
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let detail = error.to_string();
            let detail = detail.split(" at line ").next().unwrap_or_default().to_owned();
            return vec![Mistake { line, column, detail }];
        }
    };
    let mut mistakes = Mistakes::default();
    let states = form::states(file, &mut mistakes);
    rules::check(&states, &mut mistakes);
    let mistake = |(at, detail)| {
        let (line, column) = line_and_column(text, at);
        Mistake { line, column, detail }
    };
    mistakes.0.into_iter().map(mistake).collect()
}

/// The text of a file.
///
/// # Errors
/// [`InvalidFile::Read`].
pub fn read(path: &Path) -> Result<String, InvalidFile> {
    std::fs::read_to_string(path)
        .map_err(|source| InvalidFile::Read { path: path.to_owned(), source })
}

/// The catalogue of a file without mistakes; without a file, the built-in one.
///
/// # Errors
/// [`InvalidFile`].
pub fn load(path: Option<&Path>) -> Result<Catalogue, InvalidFile> {
    let Some(path) = path else { return Ok(Catalogue::built_in()?) };
    let text = read(path)?;
    let mistakes = check(&text);
    if let Some(first) = mistakes.first().cloned() {
        return Err(InvalidFile::Mistakes { path: path.to_owned(), first, count: mistakes.len() });
    }
    Ok(Catalogue::parse(&text).map_err(Error::internal)?)
}
