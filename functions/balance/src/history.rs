//! `GET /teams/{team}/history`: pages of JSON, or the whole selection as CSV.

use std::borrow::Cow;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use shared::domain::Error;
use shared::domain::catalogue::PRICE_LISTS;
use shared::domain::entry::{Entry, Kind};
use shared::domain::ids::{Id, TeamId, UserId};
use shared::domain::time::Time;
use shared::http::permission::Read;
use shared::http::{App, Permitted, Query};
use shared::store::Store;
use shared::store::history::{Page, Position, Selection};

/// The most entries of a page.
const MAX_LIMIT: usize = 200;

/// How many entries of a CSV are fetched at a time.
const CSV_PAGE: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    #[serde(default = "default_limit")]
    limit: usize,
    cursor: Option<String>,
    kind: Option<Kind>,
    action: Option<String>,
    user: Option<UserId>,
    from: Option<String>,
    to: Option<String>,
}

const fn default_limit() -> usize {
    50
}

#[derive(Serialize)]
struct HistoryPage {
    entries: Vec<Entry>,
    cursor: Option<String>,
}

pub(super) async fn history(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Query(query): Query<HistoryQuery>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let mut selection = query.selection()?;
    if !(1..=MAX_LIMIT).contains(&query.limit) {
        return Err(Error::invalid("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let after = query.cursor.as_deref().map(decode).transpose()?;
    selection.unwritten = app.store.view(&team, app.clock.now()).await?.entries;
    if wants_csv(&headers) {
        return csv(app.store, team, selection).await;
    }
    let page = app.store.history(&team, &selection, after.as_ref(), query.limit).await?;
    let cursor = page.next.as_ref().map(encode);
    Ok(Json(HistoryPage { entries: page.entries, cursor }).into_response())
}

impl HistoryQuery {
    fn selection(&self) -> Result<Selection, Error> {
        if let Some(action) = &self.action {
            let mut lists = PRICE_LISTS.iter();
            if !lists.any(|list| list.price(action).is_ok()) {
                return Err(Error::invalid("action", format!("unknown action `{action}`")));
            }
        }
        let from = self.from.as_deref().map(|text| instant("from", text, false)).transpose()?;
        let to = self.to.as_deref().map(|text| instant("to", text, true)).transpose()?;
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(Error::invalid("to", "must not be before `from`"));
        }
        if let Some(Kind::Other(kind)) = &self.kind {
            return Err(Error::invalid("kind", format!("unknown kind `{kind}`")));
        }
        Ok(Selection {
            kind: self.kind.clone(),
            action: self.action.clone(),
            user: self.user.clone(),
            from,
            to,
            unwritten: Vec::new(),
        })
    }
}

/// A time as it is; a date as its first instant, or as the end of the day.
fn instant(field: &str, text: &str, is_end: bool) -> Result<Time, Error> {
    let invalid = || {
        Error::invalid(field, "must be a date like 2026-11-03 or a time like 2026-11-03T00:00:00Z")
    };
    if let Ok(time) = text.parse::<Time>() {
        return Ok(time);
    }
    // A date only: without a zone, a time of day says nothing.
    let day = Some(text).filter(|text| text.len() == "2026-11-03".len());
    let day: Date = day.and_then(|day| day.parse().ok()).ok_or_else(invalid)?;
    let day = if is_end { day.tomorrow().map_err(|_| invalid())? } else { day };
    Ok(Time::start_of(day))
}

fn encode(position: &Position) -> String {
    URL_SAFE_NO_PAD.encode(position.to_string())
}

fn decode(cursor: &str) -> Result<Position, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let position = text.and_then(|text| text.parse().ok());
    position.ok_or_else(|| Error::invalid("cursor", "is not a cursor of this history"))
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| {
        accept
            .split(',')
            .any(|range| range.split(';').next().is_some_and(|range| range.trim() == "text/csv"))
    })
}

/// One row of the CSV.
#[derive(Serialize)]
struct Row<'a> {
    at: Time,
    id: &'a Id,
    kind: &'a Kind,
    credits: i64,
    held: i64,
    action: Option<&'a str>,
    quantity: Option<u64>,
    outcome: Option<&'a str>,
    user: Option<Cow<'a, str>>,
    reference: Option<Cow<'a, str>>,
    hold: Option<&'a Id>,
    price_version: Option<&'a str>,
}

impl<'a> From<&'a Entry> for Row<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            at: entry.at,
            id: &entry.id,
            kind: &entry.kind,
            credits: entry.credits,
            held: entry.held,
            action: entry.action.as_deref(),
            quantity: entry.quantity,
            outcome: entry.outcome.as_deref(),
            user: entry.user.as_ref().map(|user| inert(user.as_str())),
            reference: entry.reference.as_ref().map(|reference| inert(reference.as_str())),
            hold: entry.hold.as_ref(),
            price_version: entry.price_version.as_deref(),
        }
    }
}

/// A caller's text, quoted where a spreadsheet would take it for a formula.
fn inert(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}").into() } else { text.into() }
}

const HEADER: &str =
    "at,id,kind,credits,held,action,quantity,outcome,user,reference,hold,price_version\n";

/// The whole selection, page by page as the client reads it.
async fn csv(store: Store, team: TeamId, selection: Selection) -> Result<Response, Error> {
    let first = store.history(&team, &selection, None, CSV_PAGE).await?;
    let start = Some((HEADER.to_owned(), Some(first)));
    let pages = stream::try_unfold(start, move |state: Option<(String, Option<Page>)>| {
        let (store, team, selection) = (store.clone(), team.clone(), selection.clone());
        async move {
            let Some((mut text, page)) = state else { return Ok(None) };
            let Some(page) = page else { return Ok(None) };
            text.push_str(&rows(&page.entries)?);
            let next = match &page.next {
                Some(after) => Some(store.history(&team, &selection, Some(after), CSV_PAGE).await?),
                None => None,
            };
            Ok::<_, Error>(Some((text, Some((String::new(), next)))))
        }
    });
    let media_type = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
    let file = (header::CONTENT_DISPOSITION, "attachment; filename=\"history.csv\"");
    Ok(([media_type, file], Body::from_stream(pages)).into_response())
}

fn rows(entries: &[Entry]) -> Result<String, Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for entry in entries {
        writer.serialize(Row::from(entry)).map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(Error::internal)?;
    String::from_utf8(bytes).map_err(Error::internal)
}
