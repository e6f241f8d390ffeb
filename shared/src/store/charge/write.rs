//! The write of charges: the update of the payer, the entries, and a lane that is opened along with them.

use super::admission::NewRefusal;
use super::charging::Charging;
use crate::domain::hold::HoldStatus;
use crate::domain::ids::{Id, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};
use crate::store::Store;
use crate::store::dynamo::expression::Expression;
use crate::store::dynamo::keys;
use crate::store::dynamo::transaction::{Cancelled, Leg, Transaction};
use crate::store::lane_cache::Block;

/// The payer of a write.
pub(super) enum Payer {
    /// A hold, for captures.
    Hold(Id),
    /// The lane of this process.
    Lane(Id),
    /// The pool, which may open a lane in the same write.
    Pool(Option<Block>),
}

/// A write of charges.
pub(super) struct ChargeWrite {
    pub(super) transaction: Transaction,
    pub(super) payer: Leg,
    pub(super) entries: Vec<Leg>,
    /// The lane that is opened or extended.
    pub(super) lane: Option<Leg>,
}

/// The end of an attempt to write everything admitted.
pub(super) enum Attempt {
    /// The write has succeeded.
    Written { payer: Payer, cost: Credits },
    /// A condition of the write does not hold.
    Cancelled { payer: Payer, write: ChargeWrite, cancelled: Cancelled },
}

/// The totals of charges.
pub(in crate::store) struct Totals {
    pub(in crate::store) cost: Credits,
    pub(in crate::store) usage: Usage,
    has_enrichment: bool,
}

impl Totals {
    /// The totals of charges.
    ///
    /// # Errors
    /// [`Error::Internal`] for a charge without a price, or if they cost more than [`Credits::MAX`].
    pub(in crate::store) fn of<'a>(
        mut charges: impl Iterator<Item = &'a Entry> + Clone,
    ) -> Result<Self, Error> {
        if charges.clone().any(|charge| charge.metering.is_none()) {
            return Err(Error::internal("a charge has no price"));
        }
        Ok(Self {
            cost: Credits::sum(charges.clone().map(Entry::amount))?,
            usage: Usage::of(charges.clone())?,
            has_enrichment: charges.any(Entry::is_enrichment),
        })
    }
}

impl Store {
    /// The write of everything admitted.
    pub(super) fn charge_write(
        &self,
        payer: &Payer,
        totals: &Totals,
        charging: &Charging,
    ) -> Result<ChargeWrite, Error> {
        let Charging { admission, operation, ended_pause, .. } = charging;
        let (team, now) = (&operation.team, operation.now);
        let mut transaction = self.transaction();
        let paid = match payer {
            Payer::Hold(hold) => {
                hold_charged(team, hold, totals, now).when_not_taken_in_pause(totals, *ended_pause)
            }
            Payer::Lane(lane) => lane_charged(team, lane, totals, now),
            Payer::Pool(block) => {
                let paid = pool_charged(team, totals, block.as_ref(), now)?;
                admission.new_refusal.iter().fold(paid, Expression::store_refusal)
            }
        };
        let payer_leg = transaction.update(paid)?;
        let entries = admission.admitted().map(|entry| transaction.put_entry(entry));
        let entries = entries.collect::<Result<_, _>>()?;
        let lane = match payer {
            Payer::Pool(Some(block)) => Some(transaction.open_lane(team, block)?),
            Payer::Pool(None) | Payer::Lane(_) | Payer::Hold(_) => None,
        };
        Ok(ChargeWrite { transaction, payer: payer_leg, entries, lane })
    }
}

/// The update of a pool that pays charges, and that moves a block into a lane.
pub(in crate::store) fn pool_charged(
    team: &TeamId,
    totals: &Totals,
    block: Option<&Block>,
    now: Time,
) -> Result<Expression, Error> {
    let in_lane = block.map(|block| block.credits).unwrap_or_default();
    let mut update = Expression::on(keys::pool(team))
        .set("credits = credits - :taken")
        .when("credits >= :taken")
        .value(":taken", totals.cost.try_add(in_lane)?)
        .when_active()
        .when_not_due(now)
        .add_usage(&totals.usage)
        .add_weekly_spend(totals.cost, now);
    if totals.has_enrichment || block.is_some() {
        update = update.when("attribute_not_exists(paused_at)");
    }
    let Some(block) = block else { return Ok(update) };
    Ok(update
        .set("lanes = lanes + :lane, lane_moves = lane_moves + :one")
        .value(":lane", block.credits)
        .value(":one", 1)
        .when("epoch = :epoch")
        .value(":epoch", block.epoch)
        .when("(attribute_not_exists(changing_until) OR changing_until <= :opened)")
        .value(":opened", block.opened_at))
}

/// The update of a hold that pays captures.
fn hold_charged(team: &TeamId, hold: &Id, totals: &Totals, now: Time) -> Expression {
    Expression::on(keys::open_hold(team, hold))
        .set("remaining = remaining - :cost")
        .when("remaining >= :cost AND due_at > :now")
        .value(":cost", totals.cost)
        .value(":now", now)
        .add_usage_to_hold(&totals.usage)
}

/// The update of a lane that pays charges.
fn lane_charged(team: &TeamId, lane: &Id, totals: &Totals, now: Time) -> Expression {
    Expression::on(keys::lane(team, lane))
        .set("remaining = remaining - :cost")
        .when("remaining >= :cost AND #status = :open AND expires_at > :now")
        .value(":cost", totals.cost)
        .value(":now", now)
        .name("#status", "status")
        .value(":open", HoldStatus::Open)
        .add_usage(&totals.usage)
}

impl Expression {
    /// On condition that a hold which captures enrichment was not taken in a pause that lasts. `ended_pause` is the
    /// pause in which it was taken, once that has ended.
    fn when_not_taken_in_pause(self, totals: &Totals, ended_pause: Option<u64>) -> Self {
        match ended_pause {
            Some(pause) => self
                .remove("pause")
                .when("(attribute_not_exists(pause) OR pause = :ended)")
                .value(":ended", pause),
            None if totals.has_enrichment => self.when("attribute_not_exists(pause)"),
            None => self,
        }
    }

    /// Stores a refusal in the pool, if the pool still does not cover the charge.
    fn store_refusal(self, new_refusal: &NewRefusal) -> Self {
        let update = self
            .set("refused = :refused")
            .value(":refused", &new_refusal.refused)
            .when("credits < :enough AND lanes = :lanes")
            .value(":enough", new_refusal.enough)
            .value(":lanes", new_refusal.pool.lanes);
        if !new_refusal.pauses {
            return update;
        }
        update
            .set("paused_at = :paused_at, pauses = pauses + :pause")
            .value(":paused_at", new_refusal.refused.at)
            .value(":pause", 1)
            .when("attribute_not_exists(paused_at)")
    }
}
