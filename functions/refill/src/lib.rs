//! Turns the cycles that are over, for the teams that nobody touches. It reads only what is due.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use futures_util::{StreamExt, stream};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::http::App;
use shared::store::keys::SHARDS;

/// How many teams are worked on at a time.
const AT_ONCE: usize = 16;

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Teams whose cycle was turned.
    pub refilled: u64,
    /// Teams that it failed for; they stay due.
    pub failed: u64,
}

/// Turns all cycles that are over.
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
            summary = turn(app, due.teams, summary).await;
            start = due.next;
            if start.is_none() {
                break;
            }
        }
    }
    Ok(summary)
}

async fn turn(app: &App, teams: Vec<TeamId>, summary: Summary) -> Summary {
    let turns = stream::iter(teams).map(async |team| {
        let turned = app.store.pool(&team, app.clock.now()).await;
        turned
            .inspect_err(|error| tracing::error!(%team, %error, "the cycle was not turned"))
            .is_ok()
    });
    let count = async |Summary { refilled, failed }, is_turned: bool| {
        if is_turned {
            Summary { refilled: refilled.saturating_add(1), failed }
        } else {
            Summary { refilled, failed: failed.saturating_add(1) }
        }
    };
    turns.buffer_unordered(AT_ONCE).fold(summary, count).await
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
    tracing::info!(refilled = summary.refilled, failed = summary.failed, "refill");
    if summary.failed > 0 {
        return Err(format!("{} teams were not refilled", summary.failed).into());
    }
    Ok(summary)
}
