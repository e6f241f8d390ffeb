//! The scheduled upkeep of teams: resets cycles, begins subscriptions, returns expired holds and lanes, and
//! charges the months of monitored accounts. It reads due items only.

use std::time::Duration;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use futures_util::{StreamExt, stream};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::aws::retry::with_deadline;
use shared::domain::Error;
use shared::domain::ids::{AccountId, TeamId};
use shared::domain::monitored_account::MonitoringStatus;
use shared::lambda::App;
use shared::lambda::deadline::time_left;
use shared::store::due::Due;
use shared::store::keys::SHARDS;
use shared::store::monitored_account::Billed;
use tokio::time::Instant;

/// The number of teams of a shard that are processed concurrently.
const CONCURRENT_TEAMS_MAX: usize = 4;

/// No team is begun with less time than this left. It is three times the retry time of an operation.
const TIME_RESERVED: Duration = Duration::from_secs(15);

/// The result of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The number of teams whose cycle was reset or whose subscription began.
    pub changed: u64,
    /// The number of holds that expired.
    pub expired: u64,
    /// The number of months of monitored accounts that were charged.
    pub billed: u64,
    /// The number of monitored accounts that were paused because their team could not pay.
    pub paused: u64,
    /// The number of failed teams and of unreadable shards. Their items stay due.
    pub failed: u64,
    /// Whether the time ended before all due items were processed. The next run continues.
    pub left: bool,
}

impl Summary {
    const fn and(self, more: Self) -> Self {
        Self {
            changed: self.changed.saturating_add(more.changed),
            expired: self.expired.saturating_add(more.expired),
            billed: self.billed.saturating_add(more.billed),
            paused: self.paused.saturating_add(more.paused),
            failed: self.failed.saturating_add(more.failed),
            left: self.left || more.left,
        }
    }

    fn count(self, billed: &Billed) -> Self {
        let Billed { account, refusal } = billed;
        let is_paused = refusal.is_some() && account.status == MonitoringStatus::Paused;
        Self {
            billed: self.billed.saturating_add(u64::from(refusal.is_none())),
            paused: self.paused.saturating_add(u64::from(is_paused)),
            ..self
        }
    }
}

/// Processes all due items, or those that fit into `time`. All shards are processed concurrently, each in
/// the order of the due time.
pub async fn run(app: &App, time: Option<Duration>) -> Summary {
    let stop = time.and_then(|time| Instant::now().checked_add(time.saturating_sub(TIME_RESERVED)));
    let shards = stream::iter(SHARDS).map(|shard| run_shard(app, shard, stop));
    let all = shards.buffer_unordered(SHARDS.len());
    with_deadline(time, all.fold(Summary::default(), async |sum, more| sum.and(more))).await
}

/// Processes the due items of one shard.
async fn run_shard(app: &App, shard: char, stop: Option<Instant>) -> Summary {
    let mut summary = Summary::default();
    let mut start = None;
    loop {
        let Due { teams, next } = match app.store.due_list(shard, app.clock.now(), start).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%shard, %error, "reading due items failed");
                return summary.and(Summary { failed: 1, ..Summary::default() });
            }
        };
        let done =
            stream::iter(teams).map(|(team, accounts)| run_team_in_time(app, team, accounts, stop));
        let done = done.buffer_unordered(CONCURRENT_TEAMS_MAX);
        summary = done.fold(summary, async |sum, more| sum.and(more)).await;
        start = next;
        if start.is_none() || summary.left {
            return summary;
        }
    }
}

async fn run_team_in_time(
    app: &App,
    team: TeamId,
    accounts: Vec<AccountId>,
    stop: Option<Instant>,
) -> Summary {
    if stop.is_some_and(|stop| stop <= Instant::now()) {
        return Summary { left: true, ..Summary::default() };
    }
    run_team(app, &team, accounts).await.unwrap_or_else(|error| {
        tracing::error!(%team, %error, "team upkeep failed");
        Summary { failed: 1, ..Summary::default() }
    })
}

/// Processes the due items of one team.
async fn run_team(app: &App, team: &TeamId, accounts: Vec<AccountId>) -> Result<Summary, Error> {
    let now = app.clock.now();
    let done = app.store.team_upkeep(team, now).await?;
    let mut summary =
        Summary { changed: done.terms_changed.into(), expired: done.expired, ..Summary::default() };
    match app.store.monitored_account_bill(team, accounts, app.prices(now), now).await {
        Ok(billed) => summary = billed.iter().fold(summary, Summary::count),
        Err(error) => {
            tracing::error!(%team, %error, "billing monitored accounts failed");
            summary.failed = 1;
        }
    }
    Ok(summary)
}

/// Handles an invocation by the schedule.
///
/// # Errors
/// A failed team or shard, so that Lambda retries the invocation.
pub async fn handle(
    app: &App,
    event: LambdaEvent<EventBridgeEvent<Value>>,
) -> Result<Summary, lambda_runtime::Error> {
    let summary = run(app, time_left(&event.context)).await;
    tracing::info!(
        changed = summary.changed,
        expired = summary.expired,
        billed = summary.billed,
        paused = summary.paused,
        failed = summary.failed,
        left = summary.left,
        "due items were processed"
    );
    if summary.failed > 0 {
        return Err(format!("upkeep failed for {} teams or shards", summary.failed).into());
    }
    Ok(summary)
}
