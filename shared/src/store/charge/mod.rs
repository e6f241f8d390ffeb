//! Charging: one transaction that updates the payer by the sum and puts the entry of each charge.
//!
//! The payer is the pool, a hold, or the lane of this process. An entry is the line in the ledger and the guard for
//! exactly once. A cancelled transaction returns the images of the items whose conditions failed: an existing entry is
//! a replay, and the image of the payer shows the reason of a refusal.

mod admission;
mod charging;
mod coalescing;
mod groups;
mod refusal_cache;
mod write;

pub use admission::CHARGES_PER_WRITE_MAX;
pub(super) use coalescing::Coalescer;
pub(super) use refusal_cache::RefusalCache;
pub(super) use write::{Totals, pool_charged};

use super::Store;
use super::counters::has_hold_room;
use super::dynamo::failure::LegResult;
use super::dynamo::from_item;
use super::dynamo::keys::Item;
use super::dynamo::transaction::Cancelled;
use super::entry::EntryResult;
use super::open_hold::StoredHold;
use super::operation::Operation;
use super::retry::RetryBudget;
use crate::domain::hold::{Hold, HoldStatus};
use crate::domain::ids::{Id, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::Pool;
use crate::domain::projection::Projection;
use crate::domain::time::Time;
use crate::domain::{Credits, Error, Resource};
use admission::Funds;
use charging::Charging;
use groups::{ChargeGroup, ChargeGroups, fit_into_a_write};
use write::{Attempt, ChargeWrite, Payer};

/// A marked pool is read at most this often before the charge is attempted.
const CHANGE_MARK_READS_MAX: u32 = 16;

/// The write queues of this process: one for each pool and each hold that is being charged.
pub(super) type WriteQueues = Coalescer<(TeamId, Option<Id>), QueuedCharges, Vec<EntryResult>>;

/// Charges that wait for a write.
#[derive(Clone, Debug)]
pub(super) struct QueuedCharges {
    charges: Vec<Entry>,
    now: Time,
}

impl Store {
    /// Charges the team, as if each charge were made in turn. The results are in the same order.
    ///
    /// Each refusal is one of [`Error::KeyReused`], [`Error::NotFound`] (the team), [`Error::AccountClosed`],
    /// [`Error::InsufficientCredits`], [`Error::EnrichmentPaused`], [`Error::Busy`] or [`Error::Internal`]; for a
    /// capture also [`Error::NotFound`] (the hold), [`Error::HoldClosed`] and [`Error::HoldExceeded`]. A first refusal
    /// is stored in the pool, and it may pause enrichment.
    pub async fn charge(&self, team: &TeamId, charges: Vec<Entry>, now: Time) -> Vec<EntryResult> {
        let budget = self.retry_budget();
        let mut request = ChargeGroups::of(charges);
        while let Some(group) = request.next_group() {
            let results = if request.is_begun() && budget.is_exhausted() {
                group.refusals(&Error::Busy)
            } else {
                self.charge_coalesced(team, &group, now, &budget).await
            };
            request.set_results(&group, results);
            while let Some(entry) = request.next_unknown_entry() {
                let found = self.entry_read(team, &entry).await;
                request.add_entry(found.ok().flatten());
            }
        }
        request.into_results()
    }

    /// Charges a group together with concurrent charges of the same payer in this process.
    async fn charge_coalesced(
        &self,
        team: &TeamId,
        group: &ChargeGroup,
        now: Time,
        budget: &RetryBudget,
    ) -> Vec<EntryResult> {
        let write = |queued: Vec<QueuedCharges>| async move {
            let now = queued.iter().map(|queued| queued.now).max().unwrap_or(now);
            let counts: Vec<usize> = queued.iter().map(|queued| queued.charges.len()).collect();
            let charges = queued.into_iter().flat_map(|queued| queued.charges).collect();
            let operation = Operation::new(team, now, budget.clone());
            let results = Box::pin(self.charge_group(group.hold.clone(), charges, operation)).await;
            let mut results = results.into_iter();
            counts.into_iter().map(|count| results.by_ref().take(count).collect()).collect()
        };
        loop {
            let payer = (team.clone(), group.hold.clone());
            let own = QueuedCharges { charges: group.charges.clone(), now };
            let written = self.queues.run(payer, own, fits, &write);
            match budget.timeout(written).await {
                Err(error) => return group.refusals(&error),
                // The caller that wrote was dropped. The next attempt finds what it has written.
                Ok(None) => {}
                // The caller that wrote ran out of time; this one has time left.
                Ok(Some(answer)) if !answer.is_own && answer.result.iter().all(is_busy) => {}
                Ok(Some(answer)) => return answer.result,
            }
        }
    }

    /// Charges a group: attempts to write it until every charge has a result.
    async fn charge_group(
        &self,
        hold: Option<Id>,
        charges: Vec<Entry>,
        operation: Operation,
    ) -> Vec<EntryResult> {
        let Operation { team, now, .. } = &operation;
        if hold.is_none()
            && let Ok(Some(refused)) = self.refusals_cached(team, &charges, *now).await
        {
            return refused;
        }
        let mut charging = Charging::new(hold, charges, operation);
        while charging.admission.is_open() {
            let pool = self.contended_pool_read(&charging).await;
            let attempt = match self.contended_pool_handle(pool.as_ref(), &mut charging).await {
                Ok(true) => continue,
                Ok(false) => self.charge_attempt(pool.as_ref(), &mut charging).await,
                Err(error) => Err(error),
            };
            let handled = match attempt {
                Ok(Attempt::Written { payer, cost }) => {
                    self.charge_written(&payer, cost, &mut charging).await
                }
                Ok(Attempt::Cancelled { payer, write, cancelled }) => {
                    Box::pin(self.charge_cancelled(&payer, &write, &cancelled, &mut charging)).await
                }
                Err(Error::Busy) => charging.operation.budget.back_off().await,
                Err(error) => Err(error),
            };
            if let Err(error) = handled {
                charging.admission.refuse_open(&error);
            }
        }
        self.recall_end(charging.operation).await;
        charging.admission.into_results()
    }

    /// The pool, if it is read before the attempt: after a conflict on it, or to open another lane.
    async fn contended_pool_read(&self, charging: &Charging) -> Option<Pool> {
        let team = &charging.operation.team;
        let now = charging.operation.current_time();
        let is_contended = charging.has_met_conflict || self.lanes.had_one(team);
        if charging.hold.is_some() || !is_contended {
            return None;
        }
        let cost = Credits::sum(charging.admission.admitted().map(Entry::amount)).ok()?;
        if self.lanes.covering(team, cost, now).is_some() {
            return None;
        }
        let read = async {
            let pool = self.pool_read(team).await?;
            if !pool.is_changing(now) && !pool.lanes.is_zero() {
                self.lane_read_own(team, now).await?;
            }
            Ok(pool)
        };
        let log = |error: &Error| tracing::warn!(%team, %error, "a read of the pool failed");
        read.await.inspect_err(log).ok()
    }

    /// Handles a pool that was read before an attempt, if no write should be attempted on it: makes a due change,
    /// refuses what it does not cover, or waits for a change of another process. Returns whether it did one of these.
    async fn contended_pool_handle(
        &self,
        pool: Option<&Pool>,
        charging: &mut Charging,
    ) -> Result<bool, Error> {
        let Some(pool) = pool else { return Ok(false) };
        let Charging { admission, operation, change_mark_reads, .. } = charging;
        if pool.is_due(operation.now) {
            self.due_changes_make(operation).await?;
            operation.budget.check_left()?;
            return Ok(true);
        }
        if admission.is_uncovered_by(pool) {
            // A refusal without a write leaves more room for other writes.
            self.refusals.insert(pool, None, operation.now);
            let admitted: Vec<Entry> = admission.admitted().cloned().collect();
            let refused = Box::pin(self.refusals_cached(&pool.team, &admitted, operation.now));
            if let Ok(Some(refused)) = refused.await {
                admission.answer_admitted(refused);
                return Ok(true);
            }
        }
        let is_marked =
            pool.is_changing(operation.current_time()) && operation.change_mark.is_none();
        if is_marked && *change_mark_reads < CHANGE_MARK_READS_MAX {
            // The change is made sooner if fewer writes conflict with it.
            *change_mark_reads = change_mark_reads.saturating_add(1);
            operation.wait_for_change().await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// One attempt to write everything admitted.
    async fn charge_attempt(
        &self,
        pool: Option<&Pool>,
        charging: &mut Charging,
    ) -> Result<Attempt, Error> {
        let totals = Totals::of(charging.admission.admitted())?;
        let payer = self.payer_select(charging, totals.cost, pool);
        let write = self.charge_write(&payer, &totals, charging)?;
        let written = self.transact_once(&write.transaction, &charging.operation.budget).await?;
        let Some(cancelled) = written else {
            return Ok(Attempt::Written { payer, cost: totals.cost });
        };
        if cancelled.is_busy() {
            let is_busy = *cancelled.leg(write.payer) == LegResult::Busy;
            charging.has_met_conflict |= matches!(payer, Payer::Pool(_)) && is_busy;
            return Err(Error::Busy);
        }
        Ok(Attempt::Cancelled { payer, write, cancelled })
    }

    /// Selects the payer: the hold, the lane of this process, or the pool, which may open a lane.
    fn payer_select(&self, charging: &Charging, cost: Credits, pool: Option<&Pool>) -> Payer {
        let now = charging.operation.current_time();
        if let Some(hold) = &charging.hold {
            return Payer::Hold(hold.clone());
        }
        if charging.admission.new_refusal.is_some() {
            return Payer::Pool(None);
        }
        if let Some(lane) = self.lanes.covering(&charging.operation.team, cost, now) {
            return Payer::Lane(lane);
        }
        // A lane needs two legs of the write.
        let has_room = charging.admission.admitted.len().saturating_add(2) <= CHARGES_PER_WRITE_MAX;
        let pool = pool.filter(|_| has_room);
        Payer::Pool(pool.and_then(|pool| self.lanes.plan(pool, cost, now)))
    }

    /// Handles a write that has succeeded.
    async fn charge_written(
        &self,
        payer: &Payer,
        cost: Credits,
        charging: &mut Charging,
    ) -> Result<(), Error> {
        let Operation { team, now, .. } = &charging.operation;
        match payer {
            Payer::Hold(_) | Payer::Pool(None) => {}
            Payer::Lane(_) => self.lanes.count_payment(team, cost),
            Payer::Pool(Some(block)) => self.lanes.set_block(team, block),
        }
        // The cached balance of a pool includes the credits in lanes.
        if !cost.is_zero() && !matches!(payer, Payer::Hold(_)) {
            self.refusals.remove(team);
        }
        charging.admission.charge_admitted();
        let Some(new_refusal) = charging.admission.new_refusal.take() else { return Ok(()) };
        let (pauses, next_expiry) = (new_refusal.pauses, new_refusal.next_expiry);
        let pool = new_refusal.pool_after(cost)?;
        if pool.lanes.is_zero() {
            self.refusals.insert(&pool, next_expiry, *now);
        } else if pauses {
            // No lane is opened while enrichment is paused. An open lane must not go on paying for it.
            Box::pin(self.lanes_return(team, None, *now, &self.retry_budget())).await?;
        }
        Ok(())
    }

    /// Handles a cancelled write: answers replays, then admits what the payer covers.
    async fn charge_cancelled(
        &self,
        payer: &Payer,
        write: &ChargeWrite,
        cancelled: &Cancelled,
        charging: &mut Charging,
    ) -> Result<(), Error> {
        charging.admission.answer_replays(&write.entries, cancelled);
        if write.lane.is_some_and(|lane| cancelled.has_failed(lane)) {
            self.lanes.remove(&charging.operation.team);
        }
        if charging.admission.is_answered() {
            return Ok(());
        }
        match (payer, cancelled.leg(write.payer)) {
            // A replay leaves room for charges that seemed too much before.
            (_, LegResult::Passed | LegResult::Busy) => charging.admission.admit_all(),
            (Payer::Pool(_), LegResult::Failed(image)) => {
                self.charge_admit_by_pool(image.clone(), charging).await?;
            }
            (Payer::Lane(_), LegResult::Failed(image)) => {
                let team = &charging.operation.team;
                let lane: Option<Hold> = image.clone().map(from_item).transpose()?;
                match lane.filter(|lane| lane.status == HoldStatus::Open) {
                    Some(lane) => self.lanes.set_remaining(team, lane.remaining),
                    None => self.lanes.set_closed(team),
                }
                charging.admission.admit_all();
            }
            (Payer::Hold(id), LegResult::Failed(image)) => {
                Box::pin(self.charge_admit_by_hold(id, image.clone(), charging)).await?;
            }
        }
        if charging.admission.admitted.is_empty() {
            return Ok(());
        }
        charging.operation.budget.check_left()
    }

    /// Admits the charges that the pool covers, in their order. Credits in lanes and expired holds that would cover a
    /// refused charge are returned first, and everything is attempted again.
    async fn charge_admit_by_pool(
        &self,
        image: Option<Item>,
        charging: &mut Charging,
    ) -> Result<(), Error> {
        let Charging { admission, operation, .. } = charging;
        let mut pool: Pool = from_item(image.ok_or(Error::NotFound(Resource::Team))?)?;
        pool.check_open()?;
        if pool.is_due(operation.now) {
            pool = self.due_changes_make(operation).await?;
        }
        let mut funds = Funds::of_pool(&pool);
        admission.admit(funds)?;
        let mut projected = None;
        if admission.has_uncovered() && (!pool.lanes.is_zero() || pool.open_holds > 0) {
            let all = self.projection_read(&pool.team, operation.now).await?;
            funds.more = all.pool.balance.credits.excess_over(pool.balance.credits);
            projected = Some(all);
            admission.admit(funds)?;
            if let Some(missing) = admission.missing_within_more() {
                admission.admit_all();
                return self.credits_gather(&pool, missing, operation).await;
            }
        }
        let next_expiry = projected.as_ref().and_then(Projection::next_expiry);
        admission.select_refusal(&pool, next_expiry, operation.now)?;
        if !admission.is_open() {
            let pool = projected.as_ref().map_or(&pool, |all| &all.pool);
            self.refusals.insert(pool, next_expiry, operation.now);
        }
        Ok(())
    }

    /// Admits the captures that the hold covers, in their order. If the hold has no room for their counters, its
    /// counters are moved to the pool.
    async fn charge_admit_by_hold(
        &self,
        id: &Id,
        image: Option<Item>,
        charging: &mut Charging,
    ) -> Result<(), Error> {
        let Operation { team, now, .. } = &charging.operation;
        let hold = match image {
            Some(image) => StoredHold::read(team, image)?.hold,
            None => self.hold_item_read(team, id).await?,
        };
        hold.check_open(*now)?;
        let has_enrichment = charging.admission.has_open_enrichment();
        let is_paused = match hold.pause {
            Some(pause) if has_enrichment => self.pool_read(team).await?.pause() == Some(pause),
            Some(_) | None => false,
        };
        charging.ended_pause = hold.pause.filter(|_| has_enrichment && !is_paused);
        let Charging { admission, operation, .. } = charging;
        admission.admit(Funds::of_hold(hold.remaining, is_paused))?;
        if has_hold_room(&hold.used, &Totals::of(admission.admitted())?.usage) {
            return Ok(());
        }
        self.hold_counters_move(&hold, operation).await
    }
}

fn is_busy(result: &EntryResult) -> bool {
    matches!(result, EntryResult::Refused(Error::Busy))
}

/// Whether queued charges fit into one write, and no entry is in it twice.
fn fits(group: &[QueuedCharges], next: &QueuedCharges) -> bool {
    let charges = || group.iter().flat_map(|queued| &queued.charges);
    let is_new = |charge: &Entry| charges().all(|other| other.id != charge.id);
    fit_into_a_write(charges().chain(&next.charges)) && next.charges.iter().all(is_new)
}
