//! `GET /teams/{team}/history`: pages of JSON, or the whole selection as CSV.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use mime::Mime;
use serde::{Deserialize, Serialize};
use shared::domain::Error;
use shared::domain::catalogue::Catalogue;
use shared::domain::catalogue::prices::unknown_action;
use shared::domain::ids::{Id, Key, Reference, UserId};
use shared::domain::ledger::entry::Kind;
use shared::domain::time::Time;
use shared::http::permission::Read;
use shared::http::views::entry::EntryView;
use shared::http::{Permitted, Query, pages};
use shared::lambda::App;
use shared::store::history::{Order, Selection};

use crate::csv_file;

/// The query of `GET /teams/{team}/history`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// The entries of a page, at most [`pages::LIMIT_MAX`].
    #[serde(default = "pages::default_limit")]
    limit: usize,
    /// The `cursor` of the page before.
    cursor: Option<String>,
    /// Entries of this kind only.
    kind: Option<Kind>,
    /// Charges and captures of this action only.
    action: Option<String>,
    /// Entries that were made for this user only.
    user: Option<UserId>,
    /// Entries with this reference only.
    reference: Option<Reference>,
    /// Entries with this idempotency key, of any caller, only.
    key: Option<Key>,
    /// Entries of this hold only.
    hold: Option<Id>,
    /// `desc`: the newest entry is first. `asc`: the oldest one is.
    #[serde(default)]
    order: OrderParameter,
    /// Entries from this day or time on.
    from: Option<String>,
    /// Entries until the end of this day, or before this time.
    to: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = HistoryOrder))]
#[serde(rename_all = "lowercase")]
enum OrderParameter {
    #[default]
    Desc,
    Asc,
}

/// A page of the history.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    entries: Vec<EntryView>,
    /// The `cursor` of the next page. Null on the last page.
    cursor: Option<String>,
}

pub(super) async fn history(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Query(query): Query<HistoryQuery>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let mut selection = query.selection(&app.catalogue)?;
    pages::check_limit(query.limit)?;
    let after = query.cursor.as_deref().map(pages::decode).transpose()?;
    app.store.unwritten_entries_read(&team, &mut selection, app.clock.now()).await?;
    if wants_csv(&headers) {
        return csv_file::answer(&app.store, &team, &selection).await;
    }
    let page = app.store.history_list(&team, &selection, after.as_ref(), query.limit).await?;
    let cursor = page.next.map(pages::encode);
    let entries = page.entries.into_iter().map(EntryView::from).collect();
    Ok(Json(HistoryPage { entries, cursor }).into_response())
}

impl HistoryQuery {
    fn selection(&self, catalogue: &Catalogue) -> Result<Selection, Error> {
        if let Some(action) = &self.action {
            catalogue
                .action(action)
                .ok_or_else(|| Error::invalid("action", unknown_action(action)))?;
        }
        let from = self.from.as_deref().map(|text| Bound::parse("from", text)).transpose()?;
        let to = self.to.as_deref().map(|text| Bound::parse("to", text)).transpose()?;
        if from.zip(to).is_some_and(|(from, to)| to.is_before(from)) {
            return Err(Error::invalid("to", "must not be before `from`"));
        }
        if let Some(kind @ (Kind::Order | Kind::Other(_))) = &self.kind {
            let kind = kind.as_str();
            return Err(Error::invalid("kind", format!("unknown kind `{kind}`")));
        }
        Ok(Selection {
            order: match self.order {
                OrderParameter::Desc => Order::Descending,
                OrderParameter::Asc => Order::Ascending,
            },
            kind: self.kind.clone(),
            action: self.action.clone(),
            user: self.user.clone(),
            reference: self.reference.clone(),
            key: self.key.clone(),
            hold: self.hold.clone(),
            from: from.map(Bound::start),
            to: to.map(Bound::end),
            unwritten: Vec::new(),
        })
    }
}

/// A day or a time.
#[derive(Clone, Copy)]
enum Bound {
    Day(Date),
    Time(Time),
}

impl Bound {
    fn parse(field: &str, text: &str) -> Result<Self, Error> {
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        // The length excludes a time of day without a zone.
        let day = Some(text).filter(|text| text.len() == "2026-11-03".len());
        day.and_then(|day| day.parse().ok()).map(Self::Day).ok_or_else(|| {
            let detail = "must be a date like 2026-11-03 or a time like 2026-11-03T00:00:00Z";
            Error::invalid(field, detail)
        })
    }

    fn start(self) -> Time {
        match self {
            Self::Day(day) => Time::start_of(day),
            Self::Time(time) => time,
        }
    }

    fn is_before(self, from: Self) -> bool {
        match (self, from) {
            (Self::Day(day), Self::Day(from)) => day < from,
            (Self::Day(_), Self::Time(from)) => self.end() <= from,
            (Self::Time(time), _) => time < from.start(),
        }
    }

    /// The first instant after it; of the last day of the calendar, its start.
    fn end(self) -> Time {
        match self {
            Self::Day(day) => Time::start_of(day.tomorrow().unwrap_or(day)),
            Self::Time(time) => time,
        }
    }
}

/// Whether the client accepts CSV at least as much as JSON.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let ranges: Vec<Mime> = accept
        .unwrap_or_default()
        .split(',')
        .filter_map(|range| range.trim().parse().ok())
        .collect();
    let quality = |media_type: &str| {
        let range = ranges.iter().find(|range| range.essence_str() == media_type)?;
        let quality = range.get_param("q").map_or(Some(1.0), |q| q.as_str().parse::<f32>().ok());
        quality.filter(|quality| *quality > 0.0)
    };
    quality("text/csv")
        .is_some_and(|csv| quality("application/json").is_none_or(|json| csv >= json))
}
