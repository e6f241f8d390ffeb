//! `GET /teams/{team}/holds`: pages of the open holds, newest first.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::Error;
use shared::domain::hold::Hold;
use shared::domain::ids::Id;
use shared::domain::time::Time;
use shared::http::permission::Read;
use shared::http::views::hold::HoldView;
use shared::http::{Permitted, Query, pages};
use shared::lambda::App;

/// The query of `GET /teams/{team}/holds`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// The holds of a page, at most [`pages::LIMIT_MAX`].
    #[serde(default = "pages::default_limit")]
    limit: usize,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

/// A page of open holds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldPage {
    holds: Vec<HoldView>,
    /// The `cursor` of the next page. Null on the last page.
    cursor: Option<String>,
}

pub(super) async fn list(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Result<Json<HoldPage>, Error> {
    pages::check_limit(limit)?;
    let after: Option<Position> = cursor.as_deref().map(pages::decode).transpose()?;
    let now = app.clock.now();
    let mut holds = app.store.projection_read(&team, now).await?.holds;
    holds.sort_by_cached_key(|hold| Reverse(Position::of(hold)));
    let mut rest = holds
        .into_iter()
        .skip_while(|hold| after.as_ref().is_some_and(|after| Position::of(hold) >= *after));
    let page: Vec<Hold> = rest.by_ref().take(limit).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    let cursor = last.map(|hold| pages::encode(Position::of(hold)));
    let ids: Vec<Id> = page.iter().map(|hold| hold.id.clone()).collect();
    let mut references = app.store.hold_references_read(&team, &ids).await?;
    let view = |hold: Hold| {
        let reference = references.remove(&hold.id);
        HoldView::at(hold, reference, now)
    };
    let holds = page.into_iter().map(view).collect();
    Ok(Json(HoldPage { holds, cursor }))
}

/// The position of a hold in the list: by time, then by id.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Position(Time, Id);

impl Position {
    fn of(hold: &Hold) -> Self {
        Self(hold.taken_at, hold.id.clone())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.0, self.1)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('#').ok_or(())?;
        Ok(Self(at.parse().map_err(drop)?, id.parse().map_err(drop)?))
    }
}
