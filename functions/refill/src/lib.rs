//! Sees to what is due for the teams that nobody touches: cycles to turn, holds and lanes to give
//! back, months of monitored accounts to charge. It reads only what is due.

use std::time::Duration;

use aws_lambda_events::eventbridge::EventBridgeEvent;
use futures_util::{StreamExt, stream};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::aws::retry::with_deadline;
use shared::domain::Error;
use shared::domain::ids::{AccountId, TeamId};
use shared::domain::monitored_account::Status;
use shared::lambda::App;
use shared::lambda::deadline::time_left;
use shared::store::account::Billed;
use shared::store::due::Due;
use shared::store::keys::SHARDS;
use tokio::time::Instant;

/// How many teams of a shard are worked on at a time.
const CONCURRENT_TEAMS_MAX: usize = 4;

/// No work is begun when less than this is left of an invocation's time. It is three times as long
/// as an operation tries.
const TIME_RESERVED: Duration = Duration::from_secs(15);

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Cycles that were turned, and subscriptions that were begun.
    pub turned: u64,
    /// Holds that were given back because their time was over.
    pub expired: u64,
    /// Months of monitored accounts that were charged.
    pub billed: u64,
    /// Monitored accounts that were paused because their team could not pay.
    pub paused: u64,
    /// Teams that it failed for, and shards that could not be read; what was due there stays due.
    pub failed: u64,
    /// Whether the time was over before all was done. The next run goes on.
    pub left: bool,
}

impl Summary {
    const fn and(self, more: Self) -> Self {
        Self {
            turned: self.turned.saturating_add(more.turned),
            expired: self.expired.saturating_add(more.expired),
            billed: self.billed.saturating_add(more.billed),
            paused: self.paused.saturating_add(more.paused),
            failed: self.failed.saturating_add(more.failed),
            left: self.left || more.left,
        }
    }

    fn count(self, billed: &Billed) -> Self {
        let Billed { account, refused } = billed;
        let is_paused = refused.is_some() && account.status == Status::Paused;
        Self {
            billed: self.billed.saturating_add(u64::from(refused.is_none())),
            paused: self.paused.saturating_add(u64::from(is_paused)),
            ..self
        }
    }
}

/// Does all that is due, or as much of it as the time allows if that is limited. All shards are
/// worked on side by side, each from what is due for longest, so that none of them waits for another.
pub async fn run(app: &App, time: Option<Duration>) -> Summary {
    let stop = time.and_then(|time| Instant::now().checked_add(time.saturating_sub(TIME_RESERVED)));
    let shards = stream::iter(SHARDS).map(|shard| work_off(app, shard, stop));
    let all = shards.buffer_unordered(SHARDS.len());
    with_deadline(time, all.fold(Summary::default(), async |sum, more| sum.and(more))).await
}

/// Does what is due in one shard.
async fn work_off(app: &App, shard: char, stop: Option<Instant>) -> Summary {
    let mut summary = Summary::default();
    let mut start = None;
    loop {
        let Due { teams, next } = match app.store.due(shard, app.clock.now(), start).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%shard, %error, "what is due cannot be read");
                return summary.and(Summary { failed: 1, ..Summary::default() });
            }
        };
        let done =
            stream::iter(teams).map(|(team, accounts)| unless_over(app, team, accounts, stop));
        let done = done.buffer_unordered(CONCURRENT_TEAMS_MAX);
        summary = done.fold(summary, async |sum, more| sum.and(more)).await;
        start = next;
        if start.is_none() || summary.left {
            return summary;
        }
    }
}

async fn unless_over(
    app: &App,
    team: TeamId,
    accounts: Vec<AccountId>,
    stop: Option<Instant>,
) -> Summary {
    if stop.is_some_and(|stop| stop <= Instant::now()) {
        return Summary { left: true, ..Summary::default() };
    }
    keep_up(app, &team, accounts).await.unwrap_or_else(|error| {
        tracing::error!(%team, %error, "something due was not done");
        Summary { failed: 1, ..Summary::default() }
    })
}

/// Does what is due for a team.
async fn keep_up(app: &App, team: &TeamId, accounts: Vec<AccountId>) -> Result<Summary, Error> {
    let now = app.clock.now();
    let done = app.store.keep_up(team, now).await?;
    let mut summary =
        Summary { turned: done.turned.into(), expired: done.expired, ..Summary::default() };
    match app.store.bill(team, accounts, now).await {
        Ok(billed) => summary = billed.iter().fold(summary, Summary::count),
        Err(error) => {
            tracing::error!(%team, %error, "monitored accounts were not billed");
            summary.failed = 1;
        }
    }
    Ok(summary)
}

/// Answers the schedule.
///
/// # Errors
/// A failure of any team or shard, so that the schedule tries again.
pub async fn handle(
    app: &App,
    event: LambdaEvent<EventBridgeEvent<Value>>,
) -> Result<Summary, lambda_runtime::Error> {
    let summary = run(app, time_left(&event.context)).await;
    tracing::info!(
        turned = summary.turned,
        expired = summary.expired,
        billed = summary.billed,
        paused = summary.paused,
        failed = summary.failed,
        left = summary.left,
        "refill"
    );
    if summary.failed > 0 {
        return Err(format!("{} teams still have something due", summary.failed).into());
    }
    Ok(summary)
}
