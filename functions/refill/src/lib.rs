//! Turns the cycles and gives back the holds that are over, for the teams that nobody touches. It
//! reads only what is due.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use futures_util::{StreamExt, stream};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::pool::Pool;
use shared::http::App;
use shared::store::keys::SHARDS;
use shared::store::pool::Upkeep;

/// How many teams are worked on at a time.
const AT_ONCE: usize = 16;

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Cycles that were turned, and subscriptions that were begun.
    pub turned: u64,
    /// Holds that were given back because their time was over.
    pub expired: u64,
    /// Teams that it failed for; they stay due.
    pub failed: u64,
}

/// Does all that is due.
///
/// # Errors
/// [`Error::Busy`], [`Error::Internal`] if what is due cannot be read.
pub async fn run(app: &App) -> Result<Summary, Error> {
    let now = app.clock.now();
    let mut summary = Summary::default();
    for shard in SHARDS {
        let mut start = None;
        loop {
            let due = app.store.due(shard, now, start).await?;
            summary = keep_up(app, due.teams, summary).await;
            start = due.next;
            if start.is_none() {
                break;
            }
        }
    }
    Ok(summary)
}

async fn keep_up(app: &App, teams: Vec<TeamId>, summary: Summary) -> Summary {
    let done = stream::iter(teams).map(async |team| {
        let done = app.store.kept_up(&team, app.clock.now()).await;
        done.inspect_err(|error| tracing::error!(%team, %error, "something due was not done"))
    });
    let count = async |summary: Summary, done: Result<(Pool, Upkeep), Error>| match done {
        Ok((_, Upkeep { turned, expired })) => Summary {
            turned: summary.turned.saturating_add(turned.into()),
            expired: summary.expired.saturating_add(expired),
            ..summary
        },
        Err(_) => Summary { failed: summary.failed.saturating_add(1), ..summary },
    };
    done.buffer_unordered(AT_ONCE).fold(summary, count).await
}

/// Answers the schedule.
///
/// # Errors
/// Those of [`run`]; and a failure of any team, so that the schedule tries again.
pub async fn handle(
    app: &App,
    _: LambdaEvent<EventBridgeEvent<Value>>,
) -> Result<Summary, lambda_runtime::Error> {
    let summary = run(app).await?;
    tracing::info!(
        turned = summary.turned,
        expired = summary.expired,
        failed = summary.failed,
        "refill"
    );
    if summary.failed > 0 {
        return Err(format!("{} teams still have something due", summary.failed).into());
    }
    Ok(summary)
}
