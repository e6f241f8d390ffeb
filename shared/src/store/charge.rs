//! Charging: one transaction of an update of the pool, or of a hold, by the sum and a put of each
//! entry.
//!
//! An entry is both the line in the ledger and the guard for exactly once. When the transaction is
//! cancelled, the images that come back say all there is to know in the same round trip.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, Update};

use super::access::{put, update};
use super::failure::Leg;
use super::patience::Patience;
use super::{Store, keys};
use crate::domain::entry::Entry;
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::{Account, Balance, Effect, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most charges of one transaction, which has a leg for the pool besides.
pub const MAX_AT_ONCE: usize = 99;

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
        let mut outcomes = Vec::with_capacity(charges.len());
        for Write { hold, charges } in in_writes(charges) {
            if hold.is_none()
                && let Ok(Some(known)) = self.known_outcomes(team, &charges, now).await
            {
                outcomes.extend(known);
                continue;
            }
            let mut batch = Batch::of(charges);
            if !outcomes.is_empty() && patience.is_over() {
                batch.refuse_open(&Error::Busy);
            }
            while !batch.admitted.is_empty() {
                let step = self.step(team, hold.as_ref(), &mut batch, now, &mut patience).await;
                if let Err(error) = step {
                    batch.refuse_open(&error);
                }
            }
            outcomes.extend(batch.finish());
        }
        outcomes
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
                if self.keep_up(&pool, now, patience).await?.is_some() {
                    batch.admit_all();
                } else {
                    batch.admit(pool.balance);
                    if batch.admitted.is_empty() {
                        self.shortages.remember(&pool);
                    }
                }
            }
            (Some(Leg::Failed(Some(image))), Some(_)) => {
                let hold: Hold = serde_dynamo::from_item(image).map_err(Error::internal)?;
                hold.check_open(now)?;
                batch.admit(Balance { credits: hold.remaining, mark: Credits::ZERO });
            }
            // What turned out to be a replay leaves room for what seemed too much before.
            (Some(Leg::Passed) | None, _) => batch.admit_all(),
        }
        if batch.admitted.is_empty() { Ok(()) } else { patience.check() }
    }
}

/// Charges that are made in one write: all to the pool, or all to one hold.
struct Write {
    hold: Option<Id>,
    charges: Vec<Entry>,
}

/// Cuts charges into writes: in order, at most [`MAX_AT_ONCE`] each, and no key twice in one, so
/// that a repeated key meets the entry of its first charge.
fn in_writes(charges: Vec<Entry>) -> Vec<Write> {
    let mut writes: Vec<Write> = Vec::new();
    let mut keys = HashSet::new();
    for charge in charges {
        let fresh = keys.insert(charge.key.clone());
        match writes.last_mut() {
            Some(write)
                if fresh && write.charges.len() < MAX_AT_ONCE && write.hold == charge.hold =>
            {
                write.charges.push(charge);
            }
            Some(_) | None => {
                keys = HashSet::from([charge.key.clone()]);
                writes.push(Write { hold: charge.hold.clone(), charges: vec![charge] });
            }
        }
    }
    writes
}

/// Charges on their way through one write.
struct Batch {
    charges: Vec<Entry>,
    outcomes: Vec<Option<Outcome>>,
    /// The charges that the next try is for.
    admitted: Vec<usize>,
    /// The refusals that hold if that try goes through.
    short: Vec<(usize, Error)>,
}

impl Batch {
    fn of(charges: Vec<Entry>) -> Self {
        let outcomes = vec![None; charges.len()];
        let mut batch = Self { outcomes, charges, admitted: Vec::new(), short: Vec::new() };
        batch.admit_all();
        batch
    }

    /// Admits whatever has no outcome yet.
    fn admit_all(&mut self) {
        self.short.clear();
        self.admitted = self.open().collect();
    }

    fn open(&self) -> impl Iterator<Item = usize> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes.filter(|(_, outcome)| outcome.is_none()).map(|(index, _)| index)
    }

    fn admitted(&self) -> impl Iterator<Item = &Entry> {
        self.admitted.iter().filter_map(|index| self.charges.get(*index))
    }

    /// Admits in order what `balance` covers.
    fn admit(&mut self, balance: Balance) {
        self.admit_all();
        let mut left = balance;
        let charges = &self.charges;
        let short = &mut self.short;
        self.admitted.retain(|index| {
            let required = charges.get(*index).map_or(Credits::ZERO, Entry::spent);
            let after = left.after(Effect::Charge(required));
            if after.is_none() {
                short
                    .push((*index, Error::InsufficientCredits { balance: left.credits, required }));
            }
            left = after.unwrap_or(left);
            after.is_some()
        });
    }

    /// Answers the admitted charges whose entries are there already.
    fn answer_replays(&mut self, legs: impl Iterator<Item = Leg>) -> Result<(), Error> {
        let tried = std::mem::take(&mut self.admitted);
        for (index, leg) in tried.into_iter().zip(legs) {
            if let (Leg::Failed(Some(image)), Some(asked)) = (leg, self.charges.get(index)) {
                let outcome = Outcome::earlier(image, asked)?;
                self.set(index, outcome);
            } else {
                self.admitted.push(index);
            }
        }
        Ok(())
    }

    fn charge_admitted(&mut self) {
        for index in std::mem::take(&mut self.admitted) {
            if let Some(entry) = self.charges.get(index).cloned() {
                self.set(index, Outcome::Charged(entry));
            }
        }
    }

    /// Refuses all that have no outcome yet.
    fn refuse_open(&mut self, error: &Error) {
        self.admitted.clear();
        self.short.clear();
        for outcome in &mut self.outcomes {
            outcome.get_or_insert_with(|| Outcome::Refused(error.clone()));
        }
    }

    fn finish(mut self) -> Vec<Outcome> {
        for (index, refusal) in std::mem::take(&mut self.short) {
            self.set(index, Outcome::Refused(refusal));
        }
        self.outcomes.into_iter().flatten().collect()
    }

    fn set(&mut self, index: usize, outcome: Outcome) {
        if let Some(slot) = self.outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }
}
