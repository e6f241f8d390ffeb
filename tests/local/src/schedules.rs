//! The schedules of the template: due teams, then pending purchases.

use std::time::Duration;

use lambda_http::tracing;
use purchase::{PurchaseState, pending};
use serde::Serialize;
use tokio::time::{Instant, interval_at};

/// The time between two runs.
const SCHEDULE_EVERY: Duration = Duration::from_hours(1);

/// The results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Scheduled {
    #[serde(flatten)]
    teams: refill::Summary,
    purchases: pending::Summary,
}

/// Runs both schedules once.
pub(crate) async fn run_schedules(state: &PurchaseState) -> Scheduled {
    let teams = refill::run(&state.app, None).await;
    Scheduled { teams, purchases: pending::run(state, None).await }
}

/// Runs both schedules every hour. Deployed, that of pending purchases runs every five minutes.
pub(crate) async fn run_in_background(state: PurchaseState) {
    let start = Instant::now().checked_add(SCHEDULE_EVERY).unwrap_or_else(Instant::now);
    let mut ticks = interval_at(start, SCHEDULE_EVERY);
    loop {
        ticks.tick().await;
        let scheduled = run_schedules(&state).await;
        tracing::info!(?scheduled, "the schedules ran");
    }
}
