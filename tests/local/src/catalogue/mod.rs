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

use form::State;
use json::{Node, line_and_column, place_of};

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    line: usize,
    column: usize,
    detail: String,
}

impl Mistake {
    /// The mistake after `at` bytes of a text.
    fn new(text: &str, at: usize, detail: String) -> Self {
        let (line, column) = line_and_column(text, at);
        Self { line, column, detail }
    }
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

    /// Adds a mistake that several values make together, at the first of their places that the text of
    /// this version has. If it has none, an earlier version has made the mistake.
    fn add_of(&mut self, state: &State, places: &[usize], detail: impl Into<String>) {
        if let Some(at) = places.iter().find(|at| **at >= state.at) {
            self.add(*at, detail);
        }
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

/// All mistakes in a file, in their order. After bytes that are no text and after a violation of the syntax of
/// JSON there is no other one.
#[must_use]
pub fn check(file: &(impl AsRef<[u8]> + ?Sized)) -> Vec<Mistake> {
    let file = file.as_ref();
    let text = match str::from_utf8(file) {
        Ok(text) => text,
        Err(error) => {
            let before = String::from_utf8_lossy(file);
            return vec![Mistake::new(&before, error.valid_up_to(), "must be UTF-8".to_owned())];
        }
    };
    let mut mistakes = Mistakes::default();
    match Node::parse(text) {
        Ok(file) => {
            for states in form::states(file, &mut mistakes) {
                rules::check(&states, &mut mistakes);
            }
        }
        Err(error) => {
            let detail = error.to_string();
            let detail = detail.split(" at line ").next().unwrap_or_default();
            mistakes.add(place_of(text, &error), detail);
        }
    }
    mistakes.0.into_iter().map(|(at, detail)| Mistake::new(text, at, detail)).collect()
}

/// The content of a file.
///
/// # Errors
/// [`InvalidFile::Read`].
pub fn read(path: &Path) -> Result<Vec<u8>, InvalidFile> {
    std::fs::read(path).map_err(|source| InvalidFile::Read { path: path.to_owned(), source })
}

/// The catalogue of a file without mistakes; without a file, the built-in one.
///
/// # Errors
/// [`InvalidFile`].
pub fn load(path: Option<&Path>) -> Result<Catalogue, InvalidFile> {
    let Some(path) = path else { return Ok(Catalogue::built_in()?) };
    let file = read(path)?;
    let mistakes = check(&file);
    if let Some(first) = mistakes.first().cloned() {
        return Err(InvalidFile::Mistakes { path: path.to_owned(), first, count: mistakes.len() });
    }
    Ok(Catalogue::parse(&String::from_utf8_lossy(&file)).map_err(Error::internal)?)
}
