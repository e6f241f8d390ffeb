//! A selection of the history as a CSV file: the whole selection, or a problem.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::domain::Error;
use shared::domain::ids::{Id, Key, Reference, TeamId, UserId};
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::time::Time;
use shared::store::Store;
use shared::store::history::Selection;
use shared::store::retry::RetryBudget;

/// The entries of one page that is read.
const PAGE_ENTRIES: usize = 1_000;

/// The time to build a file, unless the invocation has less. API Gateway waits for 30 seconds.
const FILE_TIME_MAX: Duration = Duration::from_secs(20);

/// The largest file, in bytes of the JSON string in Lambda's response. A response of Lambda has at most 6
/// MB (6,291,556 bytes) with its headers.
const FILE_BYTES_MAX: usize = 6_000_000;

/// The response with the file.
///
/// # Errors
/// [`Error::FileTooLarge`] if the file exceeds [`FILE_BYTES_MAX`] or [`FILE_TIME_MAX`];
/// [`Error::Busy`], [`Error::Internal`].
pub(crate) async fn answer(
    store: &Store,
    team: &TeamId,
    selection: &Selection,
) -> Result<Response, Error> {
    let budget = RetryBudget::lasting(FILE_TIME_MAX);
    let text = text(store, team, selection, &budget).await.map_err(|error| {
        let is_late = matches!(error, Error::Busy) && budget.is_exhausted();
        if is_late { Error::FileTooLarge } else { error }
    })?;
    let media_type = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
    let file = (header::CONTENT_DISPOSITION, "attachment; filename=\"history.csv\"");
    Ok(([media_type, file], text).into_response())
}

async fn text(
    store: &Store,
    team: &TeamId,
    selection: &Selection,
    budget: &RetryBudget,
) -> Result<String, Error> {
    let (mut text, mut size, mut after) = (HEADER.to_owned(), 0_usize, None);
    loop {
        let page = store.history_list(team, selection, after.as_ref(), PAGE_ENTRIES);
        let page = budget.timeout(page).await??;
        let rows = rows(&page.entries)?;
        let escaped = serde_json::to_string(&rows).map_err(Error::internal)?;
        size = size.saturating_add(escaped.len());
        if size > FILE_BYTES_MAX {
            return Err(Error::FileTooLarge);
        }
        text.push_str(&rows);
        after = page.next;
        if after.is_none() {
            return Ok(text);
        }
    }
}

const HEADER: &str =
    "at,id,kind,credits,held,action,quantity,outcome,user,reference,hold,price_version,key\n";

/// One row, in the order of [`HEADER`].
#[derive(Serialize)]
struct Row<'a> {
    at: Time,
    id: &'a Id,
    kind: Kind,
    credits: i64,
    held: i64,
    action: Option<&'a str>,
    quantity: Option<u64>,
    outcome: Option<&'a str>,
    user: Option<Cow<'a, str>>,
    reference: Option<Cow<'a, str>>,
    hold: Option<&'a Id>,
    price_version: Option<&'a str>,
    key: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Entry> for Row<'a> {
    fn from(entry: &'a Entry) -> Self {
        let charged = entry.charged();
        Self {
            at: entry.at,
            id: &entry.id,
            kind: entry.kind(),
            credits: entry.credits,
            held: entry.held,
            action: charged.map(|charged| charged.action.as_str()),
            quantity: charged.map(|charged| charged.quantity),
            outcome: charged.and_then(|charged| charged.outcome.as_deref()),
            user: entry.user.as_ref().map(UserId::as_str).map(without_formula),
            reference: entry.reference.as_ref().map(Reference::as_str).map(without_formula),
            hold: entry.hold(),
            price_version: charged.and_then(|charged| charged.price_version.as_deref()),
            key: entry.key.as_ref().map(Key::as_str).map(without_formula),
        }
    }
}

/// The characters that begin a formula in a spreadsheet, in their usual and fullwidth forms.
const FORMULA_STARTS: [char; 8] =
    ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A caller's text with a `'` before each formula: at the start, and after a semicolon, at which
/// spreadsheets of many locales split even a quoted line.
fn without_formula(text: &str) -> Cow<'_, str> {
    let begins_formula = |cell: &str| {
        let cell = cell.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
        cell.starts_with(FORMULA_STARTS)
    };
    if !text.split(';').any(begins_formula) {
        return text.into();
    }
    let cells = text.split(';').map(|cell| {
        let quote = if begins_formula(cell) { "'" } else { "" };
        format!("{quote}{cell}")
    });
    cells.collect::<Vec<_>>().join(";").into()
}

fn rows(entries: &[Entry]) -> Result<String, Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for entry in entries {
        writer.serialize(Row::from(entry)).map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(Error::internal)?;
    String::from_utf8(bytes).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_text_that_begins_a_formula() {
        for (text, expected) in [
            ("lead_42", "lead_42"),
            ("a-b=c", "a-b=c"),
            ("a;b", "a;b"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\u{ff0b}1", "'\u{ff0b}1"),
            ("\u{ff0d}1", "'\u{ff0d}1"),
            ("\u{ff20}SUM(1)", "'\u{ff20}SUM(1)"),
            (" =1", "' =1"),
            ("a;=1", "a;'=1"),
            ("a; \"=1\";b;-2", "a;' \"=1\";b;'-2"),
        ] {
            assert_eq!(without_formula(text), expected, "{text}");
        }
    }
}
