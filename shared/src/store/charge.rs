//! Charging: one transaction that updates the payer by the sum and puts the entry of each charge.
//!
//! The payer is the pool, a hold, or a lane. An entry is the line in the ledger and the guard for exactly once.
//! A cancelled transaction returns the images of the items whose conditions failed: existing entries are
//! replays, and the image of the payer tells why it did not pay.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use serde::de::DeserializeOwned;

use super::batch::{Batch, CHARGES_PER_WRITE_MAX, ChargeGroup, Funds, RefusalNote, grouped};
use super::count::{count, count_week};
use super::failure::LegResult;
use super::hold::StoredHold;
use super::lane::Block;
use super::outcome::Outcome;
use super::recall::MARK_POLL_MAX;
use super::requests::{put, update};
use super::retry::RetryBudget;
use super::{Store, keys};
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{Id, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::{Account, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A charge reads a marked pool this often before it is attempted.
const MARKED_READS_MAX: u32 = 16;

/// The payer of a write.
enum Payer {
    /// A hold, for captures.
    Hold(Id),
    /// The lane of this process.
    Lane(Id),
    /// The pool, which may open a lane in the same write.
    Pool(Option<Block>),
}

impl Store {
    /// Charges the team, as if each charge were made in turn. The outcomes are in the same order.
    ///
    /// Each refusal is one of [`Error::KeyReused`], [`Error::NotFound`] (the team),
    /// [`Error::AccountClosed`], [`Error::InsufficientCredits`], [`Error::Busy`] or
    /// [`Error::Internal`]; for a charge to a hold, [`Error::NotFound`] and [`Error::HoldClosed`].
    pub async fn charge(&self, team: &TeamId, charges: Vec<Entry>, now: Time) -> Vec<Outcome> {
        let mut budget = self.retry_budget();
        let mut outcomes = vec![None; charges.len()];
        let mut written: HashMap<Id, Entry> = HashMap::new();
        let mut writes = grouped(charges).into_iter().enumerate().peekable();
        while let Some((number, (mut write, mut places))) = writes.next() {
            // A key that is repeated in the request needs no further write.
            let repeated = write.split_off_written(&mut places, &written);
            let asked = if writes.peek().is_some() { write.charges.clone() } else { Vec::new() };
            let done = if write.charges.is_empty() {
                Vec::new()
            } else if number > 0 && budget.is_exhausted() {
                write.refused(&Error::Busy)
            } else {
                self.charge_coalesced(team, write, now, &mut budget).await
            };
            for (asked, outcome) in asked.iter().zip(&done) {
                if let Some(entry) = self.written_entry(asked, outcome).await {
                    written.insert(entry.id.clone(), entry);
                }
            }
            for (place, outcome) in places.into_iter().zip(done).chain(repeated) {
                if let Some(empty) = outcomes.get_mut(place) {
                    *empty = Some(outcome);
                }
            }
        }
        let lost = || Outcome::Refused(Error::internal("a charge has no outcome"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
    }

    /// The stored entry of a charge, if its outcome shows that one exists.
    async fn written_entry(&self, asked: &Entry, outcome: &Outcome) -> Option<Entry> {
        match outcome {
            Outcome::Charged(entry) | Outcome::Replayed(entry) => Some(entry.clone()),
            Outcome::Refused(Error::KeyReused) => {
                let image = self.get(keys::entry(asked)).await.ok()??;
                read(image).ok()
            }
            Outcome::Refused(_) => None,
        }
    }

    /// The entry that a request made before, if it was the same one. Its price is not compared, and
    /// an outcome that it left out is taken to be the only one of then.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn replay(&self, asked: &Entry) -> Result<Option<Entry>, Error> {
        let Some(image) = self.get(keys::entry(asked)).await? else { return Ok(None) };
        let found: Entry = read(image)?;
        let outcome = asked.outcome.clone().or_else(|| found.outcome.clone());
        let is_same = found.answers(&Entry { outcome, ..asked.clone() });
        Ok(is_same.then_some(found))
    }

    /// Charges what fits into one write.
    pub(super) async fn charge_in_one_write(
        &self,
        team: &TeamId,
        write: ChargeGroup,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Vec<Outcome> {
        let ChargeGroup { hold, charges } = write;
        if hold.is_none()
            && let Ok(Some(known)) = self.cached_refusals(team, &charges, now).await
        {
            return known;
        }
        let mut batch = Batch::of(charges);
        while batch.is_open() {
            let step = self.attempt(team, hold.as_ref(), &mut batch, now, budget).await;
            if let Err(error) = step {
                batch.refuse_open(&error);
            }
        }
        self.end_recall(team, std::mem::take(&mut batch.recall)).await;
        batch.finish()
    }

    /// One attempt to charge everything admitted. A cancelled write changes what the next attempt admits.
    async fn attempt(
        &self,
        team: &TeamId,
        hold: Option<&Id>,
        batch: &mut Batch,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Result<(), Error> {
        let present = budget.current_time(now);
        let pool = self.read_contended_pool(team, hold, batch, present).await;
        if let Some(pool) = &pool {
            if let Ok(Some(known)) = Box::pin(self.refuse_uncovered(pool, batch, now)).await {
                batch.answer_admitted(known);
                return Ok(());
            }
            if pool.is_due(now) {
                self.pool_within(team, now, budget, &mut batch.recall).await?;
                return budget.check_left();
            }
            if pool.is_changing(present)
                && !batch.recall.is_begun()
                && batch.looks < MARKED_READS_MAX
            {
                // The change is made sooner with fewer writes in its way.
                batch.looks = batch.looks.saturating_add(1);
                return budget.wait(MARK_POLL_MAX).await;
            }
        }
        let payer = self.payer(team, hold, batch, pool.as_ref(), present);
        let writes = self.writes(team, &payer, batch, now)?;
        match self.try_transact(writes, budget).await {
            Ok(None) => {
                let cost = batch.cost();
                self.record_payment(team, &payer, cost);
                batch.charge_admitted();
                match batch.note.take() {
                    Some(note) => self.refusal_stored(note, cost, now).await,
                    None => Ok(()),
                }
            }
            Ok(Some(legs)) if legs.contains(&LegResult::Busy) => {
                let is_pool = matches!(payer, Payer::Pool(_));
                batch.has_met_conflict |= is_pool && legs.first() == Some(&LegResult::Busy);
                budget.back_off().await
            }
            Ok(Some(legs)) => {
                Box::pin(self.handle_cancelled(team, &payer, batch, legs, now, budget)).await?;
                if batch.admitted.is_empty() { Ok(()) } else { budget.check_left() }
            }
            Err(Error::Busy) => budget.back_off().await,
            Err(error) => Err(error),
        }
    }

    /// The pool, if it is read before the next attempt: after a conflict on it, or to open another lane.
    async fn read_contended_pool(
        &self,
        team: &TeamId,
        hold: Option<&Id>,
        batch: &Batch,
        now: Time,
    ) -> Option<Pool> {
        let has_lane = || self.lanes.for_cost(team, batch.cost(), now).is_some();
        if hold.is_some() || has_lane() || !(batch.has_met_conflict || self.lanes.had_one(team)) {
            return None;
        }
        let looked = async {
            let pool = self.read_pool(team).await?;
            if pool.as_ref().is_some_and(|pool| !pool.is_changing(now) && !pool.lanes.is_zero()) {
                self.look_for_own_lane(team, now).await?;
            }
            Ok(pool)
        };
        looked.await.unwrap_or_else(|error: Error| {
            tracing::warn!(%team, %error, "a look at the pool failed");
            None
        })
    }

    /// The outcomes of everything admitted, if the pool covers none of it. Under contention a refusal without a
    /// write leaves more room for other writes.
    async fn refuse_uncovered(
        &self,
        pool: &Pool,
        batch: &Batch,
        now: Time,
    ) -> Result<Option<Vec<Outcome>>, Error> {
        let may_gain = pool.is_due(now) || pool.open_holds > 0 || !pool.lanes.is_zero();
        if may_gain || pool.check_open().is_err() || pool.balance.credits >= batch.least() {
            return Ok(None);
        }
        if !batch.admitted().all(|charge| pool.has_noted(charge, pool.balance.credits)) {
            return Ok(None);
        }
        self.refusals.insert(pool, now);
        let admitted: Vec<Entry> = batch.admitted().cloned().collect();
        self.cached_refusals(&pool.team, &admitted, now).await
    }

    /// Selects the payer: the hold, the lane of this process, or the pool, which may open a lane.
    fn payer(
        &self,
        team: &TeamId,
        hold: Option<&Id>,
        batch: &Batch,
        pool: Option<&Pool>,
        now: Time,
    ) -> Payer {
        let cost = batch.cost();
        if let Some(hold) = hold {
            return Payer::Hold(hold.clone());
        }
        if batch.note.is_some() {
            return Payer::Pool(None);
        }
        if let Some(lane) = self.lanes.for_cost(team, cost, now) {
            return Payer::Lane(lane);
        }
        // A lane takes two legs of the write.
        let has_room = batch.admitted.len().saturating_add(2) <= CHARGES_PER_WRITE_MAX;
        let pool = pool.filter(|_| has_room);
        Payer::Pool(pool.and_then(|pool| self.lanes.plan(pool, cost, now)))
    }

    /// The legs of a write: the payer, each entry, and those that open a lane.
    fn writes(
        &self,
        team: &TeamId,
        payer: &Payer,
        batch: &Batch,
        now: Time,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let paid = match payer {
            Payer::Hold(hold) => self.hold_update(keys::open_hold(team, hold), batch, now)?,
            Payer::Lane(lane) => self.lane_update(keys::lane(team, lane), batch, now)?,
            Payer::Pool(lane) => self.pool_update(keys::pool(team), batch, lane.as_ref(), now)?,
        };
        let mut writes = vec![update(paid)];
        for entry in batch.admitted() {
            writes.push(put(self.put_entry(entry)?));
        }
        if let Payer::Pool(Some(lane)) = payer {
            writes.extend(self.open_lane(team, lane)?);
        }
        Ok(writes)
    }

    fn record_payment(&self, team: &TeamId, payer: &Payer, cost: Credits) {
        match payer {
            Payer::Hold(_) => {}
            Payer::Lane(_) => self.lanes.spent(team, cost),
            Payer::Pool(lane) => {
                if let Some(lane) = lane {
                    self.lanes.taken(team, lane);
                }
                if !cost.is_zero() {
                    self.refusals.remove(team);
                }
            }
        }
    }

    async fn refusal_stored(
        &self,
        note: RefusalNote,
        cost: Credits,
        now: Time,
    ) -> Result<(), Error> {
        let pauses = note.pauses;
        let pool = note.after(cost);
        if pool.lanes.is_zero() {
            self.refusals.insert(&pool, now);
        } else if pauses {
            // No lane is opened while enrichment is paused, and none may go on with it.
            Box::pin(self.return_lanes(&pool.team, now, &self.retry_budget())).await?;
        }
        Ok(())
    }

    pub(super) fn pool_update(
        &self,
        pool: keys::Item,
        batch: &Batch,
        lane: Option<&Block>,
        now: Time,
    ) -> Result<Update, Error> {
        let cost = batch.cost();
        let mut set = "SET credits = credits - :cost".to_owned();
        let mut condition = "credits >= :cost AND terms.account = :active \
                             AND (attribute_not_exists(due_at) OR due_at > :now)"
            .to_owned();
        let mut take = Update::builder();
        let mut all = cost;
        if lane.is_some() || batch.has_enrichment() {
            condition.push_str(" AND attribute_not_exists(paused_at)");
        }
        if let Some(lane) = lane {
            set.push_str(", lanes = lanes + :lane, lane_moves = lane_moves + :one");
            condition.push_str(
                " AND epoch = :epoch \
                 AND (attribute_not_exists(changing_until) OR changing_until <= :opened)",
            );
            all = cost.checked_add(lane.credits).unwrap_or(Credits::MAX);
            take = take
                .expression_attribute_values(":lane", keys::number(lane.credits.get()))
                .expression_attribute_values(":one", keys::number(1))
                .expression_attribute_values(":epoch", keys::number(lane.epoch))
                .expression_attribute_values(":opened", keys::text(lane.opened_at.to_string()));
        }
        if let Some(note) = &batch.note {
            take = remember(note, &mut set, &mut condition, take)?;
        }
        take = count(&batch.usage(), &mut set, take);
        take = count_week(cost, now, &mut set, take);
        take.table_name(&*self.table)
            .set_key(Some(pool))
            .update_expression(set)
            .condition_expression(condition)
            .expression_attribute_values(":cost", keys::number(all.get()))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(Error::internal)
    }

    fn hold_update(&self, hold: keys::Item, batch: &Batch, now: Time) -> Result<Update, Error> {
        let mut set = "SET remaining = remaining - :cost".to_owned();
        let mut condition = "remaining >= :cost AND due_at > :now".to_owned();
        let mut capture = count(&batch.usage(), &mut set, Update::builder());
        if let Some(pause) = batch.ended_pause {
            set.push_str(" REMOVE pause");
            condition.push_str(" AND (attribute_not_exists(pause) OR pause = :ended)");
            capture = capture.expression_attribute_values(":ended", keys::number(pause));
        } else if batch.has_enrichment() {
            condition.push_str(" AND attribute_not_exists(pause)");
        }
        capture
            .table_name(&*self.table)
            .set_key(Some(hold))
            .update_expression(set)
            .condition_expression(condition)
            .expression_attribute_values(":cost", keys::number(batch.cost().get()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(Error::internal)
    }

    fn lane_update(&self, lane: keys::Item, batch: &Batch, now: Time) -> Result<Update, Error> {
        let mut set = "SET remaining = remaining - :cost, captured = captured + :cost".to_owned();
        count(&batch.usage(), &mut set, Update::builder())
            .table_name(&*self.table)
            .set_key(Some(lane))
            .update_expression(set)
            .condition_expression("remaining >= :cost AND #status = :open AND expires_at > :now")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":cost", keys::number(batch.cost().get()))
            .expression_attribute_values(":open", keys::text(Status::Open.as_str()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(Error::internal)
    }

    /// The put of an entry that must not exist yet, into the table and the history.
    pub(super) fn put_entry(&self, entry: &Entry) -> Result<Put, Error> {
        let mut item = keys::in_history(entry);
        item.extend(keys::entry(entry));
        self.put_new(entry, item)
    }

    /// Handles a cancelled write: answers replays, makes due changes, and refuses what is not covered.
    async fn handle_cancelled(
        &self,
        team: &TeamId,
        payer: &Payer,
        batch: &mut Batch,
        legs: Vec<LegResult>,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Result<(), Error> {
        let mut legs = legs.into_iter();
        let paid = legs.next();
        batch.answer_replays(legs.by_ref());
        if legs.any(|of_lane| of_lane != LegResult::Passed) {
            self.lanes.forget(team);
        }
        if batch.admitted.is_empty() && batch.short.is_empty() {
            return Ok(());
        }
        match (payer, paid) {
            // What turned out to be a replay leaves room for what seemed too much before.
            (_, Some(LegResult::Passed | LegResult::Busy) | None) => batch.admit_all(),
            (Payer::Pool(_), Some(LegResult::Failed(pool))) => {
                let pool: Pool = read(pool.ok_or(Error::NotFound("team"))?)?;
                pool.check_open()?;
                Box::pin(self.admit(batch, pool, now, budget)).await?;
            }
            (Payer::Lane(_), Some(LegResult::Failed(lane))) => {
                let lane: Option<Hold> = lane.map(read).transpose()?;
                match lane.filter(|lane| lane.status == Status::Open) {
                    Some(lane) => self.lanes.has_left(team, lane.remaining),
                    None => self.lanes.closed(team),
                }
                batch.admit_all();
            }
            (Payer::Hold(id), Some(LegResult::Failed(image))) => {
                let stored = image.map(|item| StoredHold::read(team, item)).transpose()?;
                let hold = match stored {
                    Some(stored) => stored.hold,
                    None => self.look_at_hold(team, id).await?,
                };
                hold.check_open(now)?;
                let is_paused = match hold.pause {
                    Some(pause) if batch.has_open_enrichment() => {
                        self.is_in_pause(team, pause).await?
                    }
                    Some(_) | None => false,
                };
                let has_ended = batch.has_open_enrichment() && !is_paused;
                batch.ended_pause = hold.pause.filter(|_| has_ended);
                let (credits, more) = (hold.remaining, Credits::ZERO);
                batch.admit(Funds { credits, more, is_paused, may_pause: false });
                batch.short_of_hold();
            }
        }
        Ok(())
    }

    /// Whether the pause of enrichment with this number still lasts.
    async fn is_in_pause(&self, team: &TeamId, pause: u64) -> Result<bool, Error> {
        let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
        Ok(pool.pause() == Some(pause))
    }

    /// Admits the charges that the pool covers, in their order. Credits in lanes and expired holds that would
    /// cover a refused charge are returned first, and everything is attempted again.
    async fn admit(
        &self,
        batch: &mut Batch,
        pool: Pool,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Result<(), Error> {
        let team = pool.team.clone();
        let pool = if pool.is_due(now) {
            self.pool_within(&team, now, budget, &mut batch.recall).await?
        } else {
            pool
        };
        let mut funds = Funds {
            credits: pool.balance.credits,
            more: Credits::ZERO,
            is_paused: pool.is_paused(),
            may_pause: true,
        };
        batch.admit(funds);
        let may_have_more = !pool.lanes.is_zero() || pool.open_holds > 0;
        let mut known = pool.clone();
        if may_have_more && !batch.short.is_empty() {
            known = self.view(&team, now).await?.pool;
            let more = known.balance.credits.excess_over(pool.balance.credits);
            funds.more = more;
            batch.admit(funds);
            if let Some(missing) = batch.missing_within(more) {
                if pool.lanes.is_zero() {
                    if self.expire_some(&pool, missing, now, budget).await? {
                        batch.admit_all();
                        return budget.check_left();
                    }
                } else {
                    self.recall_lanes(&pool, now, &mut batch.recall, budget).await?;
                }
                batch.admit_all();
                return budget.back_off().await;
            }
        }
        let more = known.balance.credits.excess_over(pool.balance.credits);
        batch.note_short(&pool, more, now);
        batch.tell_of_more(more);
        if !batch.is_open() {
            self.refusals.insert(&known, now);
        }
        Ok(())
    }
}

/// Stores a refusal in the pool, on condition that the pool still does not cover the charge.
fn remember(
    note: &RefusalNote,
    set: &mut String,
    condition: &mut String,
    update: UpdateBuilder,
) -> Result<UpdateBuilder, Error> {
    set.push_str(", refused = :refused");
    condition.push_str(" AND credits < :enough AND lanes = :lanes");
    if note.pauses {
        set.push_str(", paused_at = :now, pauses = pauses + :pause");
        condition.push_str(" AND attribute_not_exists(paused_at)");
    }
    let refused = serde_dynamo::to_attribute_value(&note.refused).map_err(Error::internal)?;
    let update = if note.pauses {
        update.expression_attribute_values(":pause", keys::number(1))
    } else {
        update
    };
    Ok(update
        .expression_attribute_values(":refused", refused)
        .expression_attribute_values(":enough", keys::number(note.enough.get()))
        .expression_attribute_values(":lanes", keys::number(note.pool.lanes.get())))
}

fn read<T: DeserializeOwned>(image: keys::Item) -> Result<T, Error> {
    serde_dynamo::from_item(image).map_err(Error::internal)
}
