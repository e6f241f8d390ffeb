//! Charging: one transaction of an update of the pool, or of a hold, by the sum and a put of each
//! entry.
//!
//! An entry is both the line in the ledger and the guard for exactly once. When the transaction is
//! cancelled, the images that come back say all there is to know in the same round trip.

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, Update};

use super::access::{put, update};
use super::batch::{Batch, Write, in_writes};
use super::failure::Leg;
use super::patience::Patience;
use super::{Store, keys};
use crate::domain::entry::Entry;
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::{Account, Balance, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// What came of a charge.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was charged now.
    Charged(Entry),
    /// It was charged before, by the same request.
    Replayed(Entry),
    /// It was not charged.
    Refused(Error),
}

impl Outcome {
    /// What comes of a request whose key has an entry already, of which this is the image.
    pub(super) fn earlier(image: keys::Item, asked: &Entry) -> Result<Self, Error> {
        let entry: Entry = serde_dynamo::from_item(image).map_err(Error::internal)?;
        let is_same = entry.answers(asked);
        Ok(if is_same { Self::Replayed(entry) } else { Self::Refused(Error::KeyReused) })
    }
}

impl Store {
    /// Charges the team, as if each charge were made in turn. The outcomes are in the same order.
    ///
    /// Each refusal is one of [`Error::KeyReused`], [`Error::NotFound`] (the team),
    /// [`Error::AccountClosed`], [`Error::InsufficientCredits`], [`Error::Busy`] or
    /// [`Error::Internal`]; for a charge to a hold, [`Error::NotFound`] and [`Error::HoldClosed`].
    pub async fn charge(&self, team: &TeamId, charges: Vec<Entry>, now: Time) -> Vec<Outcome> {
        let mut patience = self.patience();
        let mut outcomes = vec![None; charges.len()];
        for (number, (write, places)) in in_writes(charges).into_iter().enumerate() {
            let done = if number > 0 && patience.is_over() {
                write.refused(&Error::Busy)
            } else {
                self.charge_in_company(team, write, now, &mut patience).await
            };
            for (place, outcome) in places.into_iter().zip(done) {
                if let Some(empty) = outcomes.get_mut(place) {
                    *empty = Some(outcome);
                }
            }
        }
        let lost = || Outcome::Refused(Error::internal("a charge has no outcome"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
    }

    /// Charges what fits into one write.
    pub(super) async fn charge_at_once(
        &self,
        team: &TeamId,
        write: Write,
        now: Time,
        patience: &mut Patience,
    ) -> Vec<Outcome> {
        let Write { hold, charges } = write;
        if hold.is_none()
            && let Ok(Some(known)) = self.known_outcomes(team, &charges, now).await
        {
            return known;
        }
        let mut batch = Batch::of(charges);
        while !batch.admitted.is_empty() {
            let step = self.step(team, hold.as_ref(), &mut batch, now, patience).await;
            if let Err(error) = step {
                batch.refuse_open(&error);
            }
        }
        batch.finish()
    }

    /// Tries to charge all that is admitted, and learns from it if that cannot be.
    async fn step(
        &self,
        team: &TeamId,
        hold: Option<&Id>,
        batch: &mut Batch,
        now: Time,
        patience: &mut Patience,
    ) -> Result<(), Error> {
        match self.write_charges(team, hold, batch.admitted(), now, patience).await? {
            None => {
                if hold.is_none() && batch.admitted().any(|entry| !entry.spent().is_zero()) {
                    self.shortages.forget(team);
                }
                batch.charge_admitted();
                Ok(())
            }
            Some(legs) => self.learn(hold, batch, legs, now, patience).await,
        }
    }

    /// One try to charge all of `entries`. `None` if it went through.
    async fn write_charges(
        &self,
        team: &TeamId,
        hold: Option<&Id>,
        entries: impl Iterator<Item = &Entry>,
        now: Time,
        patience: &mut Patience,
    ) -> Result<Option<Vec<Leg>>, Error> {
        let mut cost = Credits::ZERO;
        let mut puts = Vec::new();
        for entry in entries {
            cost = cost.plus(entry.spent()).unwrap_or(Credits::MAX);
            puts.push(put(self.put_entry(entry)?));
        }
        let payer = match hold {
            Some(hold) => self.capture_from(keys::hold(team, hold), cost, now)?,
            None => self.take_from(keys::pool(team), cost, now)?,
        };
        let writes = std::iter::once(update(payer)).chain(puts).collect();
        self.transact(writes, patience).await
    }

    fn take_from(&self, pool: keys::Item, cost: Credits, now: Time) -> Result<Update, Error> {
        Update::builder()
            .table_name(&*self.table)
            .set_key(Some(pool))
            .update_expression("SET credits = credits - :cost")
            .condition_expression(
                "credits >= :cost AND terms.account = :active \
                 AND (attribute_not_exists(due_at) OR due_at > :now)",
            )
            .expression_attribute_values(":cost", keys::number(cost.get()))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(Error::internal)
    }

    fn capture_from(&self, hold: keys::Item, cost: Credits, now: Time) -> Result<Update, Error> {
        Update::builder()
            .table_name(&*self.table)
            .set_key(Some(hold))
            .update_expression("SET remaining = remaining - :cost, captured = captured + :cost")
            .condition_expression("remaining >= :cost AND #status = :open AND expires_at > :now")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":cost", keys::number(cost.get()))
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

    /// Takes in what a cancelled try told: replays are answered, what is due is done, and what is
    /// not covered is no longer tried.
    async fn learn(
        &self,
        hold: Option<&Id>,
        batch: &mut Batch,
        legs: Vec<Leg>,
        now: Time,
        patience: &mut Patience,
    ) -> Result<(), Error> {
        let mut legs = legs.into_iter();
        let payer = legs.next();
        batch.answer_replays(legs)?;
        if batch.admitted.is_empty() && batch.short.is_empty() {
            return Ok(());
        }
        match (payer, hold) {
            (Some(Leg::Failed(None)), None) => return Err(Error::NotFound("team")),
            (Some(Leg::Failed(None)), Some(_)) => return Err(Error::NotFound("hold")),
            (Some(Leg::Failed(Some(image))), None) => {
                let pool: Pool = serde_dynamo::from_item(image).map_err(Error::internal)?;
                pool.check_open()?;
                let may_gain = pool.is_due(now) || !pool.held.is_zero();
                let pool = if may_gain { self.pool(&pool.team, now).await? } else { pool };
                batch.admit(pool.balance);
                if batch.admitted.is_empty() {
                    self.shortages.remember(&pool, now);
                }
            }
            (Some(Leg::Failed(Some(image))), Some(_)) => {
                let hold: Hold = serde_dynamo::from_item(image).map_err(Error::internal)?;
                hold.check_open(now)?;
                batch.admit(Balance { credits: hold.remaining, mark: Credits::ZERO });
                batch.short_of_hold();
            }
            // What turned out to be a replay leaves room for what seemed too much before.
            (Some(Leg::Passed) | None, _) => batch.admit_all(),
        }
        if batch.admitted.is_empty() { Ok(()) } else { patience.check() }
    }
}
