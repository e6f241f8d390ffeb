//! The schedule of pending purchases. It settles those whose payment has succeeded and ends those that will not be
//! paid, so that none is pending for more than about a day.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use lambda_http::tracing;
use serde::Serialize;
use shared::aws::retry::with_deadline;
use shared::domain::Error;
use shared::domain::payment::Decline;
use shared::domain::purchase::{FIRST_CHECK_SECONDS, PENDING_CHECK_SECONDS, PurchaseStatus};
use shared::store::keys::SHARDS;
use shared::store::pending_purchase::DuePurchase;
use tokio::time::Instant;

use crate::PurchaseState;
use crate::payment::Payment;

/// The detail type of an invocation by the schedule.
pub(crate) const SCHEDULED: &str = "Scheduled Event";

/// The number of shards that are processed concurrently. Stripe limits the requests of an account.
const CONCURRENT_SHARDS_MAX: usize = 4;

/// The number of purchases of a shard that are processed concurrently.
const CONCURRENT_PURCHASES_MAX: usize = 2;

/// No purchase is begun with less time than this left: the time of some calls of Stripe and of the writes.
pub const TIME_RESERVED: Duration = Duration::from_secs(20);

/// The result of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The number of purchases whose payment had succeeded.
    pub paid: u64,
    /// The number of purchases that have failed.
    pub failed: u64,
    /// The number of purchases that are still pending.
    pub waiting: u64,
    /// The number of purchases and shards with an error. They are processed again by a later run.
    pub errors: u64,
    /// Whether the time ended before all due purchases were processed. The next run continues.
    pub left: bool,
}

impl Summary {
    const fn and(self, more: Self) -> Self {
        Self {
            paid: self.paid.saturating_add(more.paid),
            failed: self.failed.saturating_add(more.failed),
            waiting: self.waiting.saturating_add(more.waiting),
            errors: self.errors.saturating_add(more.errors),
            left: self.left || more.left,
        }
    }
}

/// Processes all pending purchases that are due, or those that fit into `time`.
pub async fn run(state: &PurchaseState, time: Option<Duration>) -> Summary {
    let stop = time.and_then(|time| Instant::now().checked_add(time.saturating_sub(TIME_RESERVED)));
    let shards = stream::iter(SHARDS).map(|shard| run_shard(state, shard, stop));
    let all = shards.buffer_unordered(CONCURRENT_SHARDS_MAX);
    with_deadline(time, all.fold(Summary::default(), async |sum, more| sum.and(more))).await
}

async fn run_shard(state: &PurchaseState, shard: char, stop: Option<Instant>) -> Summary {
    let (mut summary, mut start) = (Summary::default(), None);
    loop {
        let store = &state.app.store;
        let page = match store.due_purchases_list(shard, state.app.clock.now(), start).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%shard, %error, "reading pending purchases failed");
                return summary.and(Summary { errors: 1, ..Summary::default() });
            }
        };
        let done = stream::iter(page.due).map(|due| state.run_in_time(due, stop));
        let done = done.buffer_unordered(CONCURRENT_PURCHASES_MAX);
        summary = done.fold(summary, async |sum, more| sum.and(more)).await;
        start = page.next;
        if start.is_none() || summary.left {
            return summary;
        }
    }
}

impl PurchaseState {
    async fn run_in_time(&self, due: DuePurchase, stop: Option<Instant>) -> Summary {
        if stop.is_some_and(|stop| stop <= Instant::now()) {
            return Summary { left: true, ..Summary::default() };
        }
        let (team, purchase) = (due.team.clone(), due.id.clone());
        match Box::pin(self.check(due)).await {
            Ok(None) => Summary::default(),
            Ok(Some(PurchaseStatus::Paid)) => Summary { paid: 1, ..Summary::default() },
            Ok(Some(PurchaseStatus::Failed)) => Summary { failed: 1, ..Summary::default() },
            Ok(Some(PurchaseStatus::Pending)) => Summary { waiting: 1, ..Summary::default() },
            Err(error) => {
                tracing::error!(%team, %purchase, %error, "a pending purchase was not concluded");
                Summary { errors: 1, ..Summary::default() }
            }
        }
    }

    /// Settles or ends a due purchase as its payment requires. Returns its status; `None` if another run or a request
    /// was first.
    async fn check(&self, mut due: DuePurchase) -> Result<Option<PurchaseStatus>, Error> {
        let (store, now) = (&self.app.store, self.app.clock.now());
        // No other run takes it meanwhile, and a later one repeats a run that is stopped or fails.
        let taken = store.due_purchase_postpone(&mut due, now.plus_seconds(FIRST_CHECK_SECONDS));
        let Some(purchase) = taken.await? else {
            return Ok(None);
        };
        let is_closed = match store.account_check_open(&purchase.team).await {
            Ok(()) => false,
            Err(Error::AccountClosed) => true,
            Err(error) => return Err(error),
        };
        let state = self.payment_state(&purchase).await?;
        let payment = match state {
            payment @ (Payment::Succeeded(_) | Payment::Declined(_) | Payment::Failed(_)) => {
                payment
            }
            Payment::Missing if purchase.is_abandoned(now) => {
                Payment::Failed(Decline::because("the payment provider does not have the payment"))
            }
            Payment::Missing => Payment::Missing,
            _ if is_closed => {
                self.cancel(&purchase, Decline::because("the account was closed")).await?
            }
            _ if purchase.is_abandoned(now) => {
                let reason = "the payment was not completed within a day";
                self.cancel(&purchase, Decline::because(reason)).await?
            }
            // The process of an automatic top-up stopped before the payment was confirmed, or before it was cancelled.
            Payment::Unconfirmed | Payment::Redirect(_) if purchase.top_up => {
                let customer = store.customer_read(&purchase.team).await?;
                return self.pay(purchase, customer).await.map(|(paid, _)| Some(paid.status));
            }
            payment @ (Payment::Unconfirmed | Payment::Redirect(_) | Payment::Processing) => {
                payment
            }
        };
        let (purchase, _) = Box::pin(self.conclude(purchase, payment)).await?;
        if purchase.status == PurchaseStatus::Pending {
            let next_check = now.plus_seconds(PENDING_CHECK_SECONDS);
            store.due_purchase_postpone(&mut due, next_check).await?;
        }
        Ok(Some(purchase.status))
    }
}
