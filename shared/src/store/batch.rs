//! The charges of one write, and their outcomes so far.

use std::collections::HashMap;

use super::failure::LegResult;
use super::outcome::Outcome;
use super::recall::Recall;
use crate::domain::ids::Id;
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::Pool;
use crate::domain::pool::refusal::Refused;
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most charges of one transaction: 100 legs without that of the payer.
pub const CHARGES_PER_WRITE_MAX: usize = 99;

/// Charges of one write: all to the pool, or all to one hold.
#[derive(Clone, Debug)]
pub(super) struct ChargeGroup {
    pub(super) hold: Option<Id>,
    pub(super) charges: Vec<Entry>,
}

impl ChargeGroup {
    /// Removes the charges whose keys have an entry, with their places in the request. Returns their places
    /// and outcomes.
    pub(super) fn split_off_written(
        &mut self,
        places: &mut Vec<usize>,
        written: &HashMap<Id, Entry>,
    ) -> Vec<(usize, Outcome)> {
        let (charges, at) = (std::mem::take(&mut self.charges), std::mem::take(places));
        let mut repeated = Vec::new();
        for (charge, place) in charges.into_iter().zip(at) {
            if let Some(entry) = written.get(&charge.id) {
                repeated.push((place, Outcome::repeated(entry.clone(), &charge)));
            } else {
                self.charges.push(charge);
                places.push(place);
            }
        }
        repeated
    }

    /// The outcomes if nothing is attempted.
    pub(super) fn refused(&self, error: &Error) -> Vec<Outcome> {
        vec![Outcome::Refused(error.clone()); self.charges.len()]
    }
}

/// Groups charges into writes, each with the places of its charges in the request: those of one payer in their
/// order, at most [`CHARGES_PER_WRITE_MAX`] each. An entry that is repeated is in a later write.
pub(super) fn grouped(charges: Vec<Entry>) -> Vec<(ChargeGroup, Vec<usize>)> {
    let mut writes: Vec<(ChargeGroup, Vec<usize>)> = Vec::new();
    let mut write_of_entry = HashMap::new();
    for (place, charge) in charges.into_iter().enumerate() {
        let of_payer = |(write, _): &(ChargeGroup, _)| write.hold == charge.hold;
        let last = writes.iter().rposition(of_payer).filter(|last| {
            write_of_entry.get(&charge.id).is_none_or(|write| write < last)
                && writes
                    .get(*last)
                    .is_some_and(|(write, _)| write.charges.len() < CHARGES_PER_WRITE_MAX)
        });
        let last = last.unwrap_or_else(|| {
            writes
                .push((ChargeGroup { hold: charge.hold.clone(), charges: Vec::new() }, Vec::new()));
            writes.len().saturating_sub(1)
        });
        write_of_entry.insert(charge.id.clone(), last);
        if let Some((write, places)) = writes.get_mut(last) {
            write.charges.push(charge);
            places.push(place);
        }
    }
    writes
}

/// The charges of one write and their outcomes.
pub(super) struct Batch {
    charges: Vec<Entry>,
    outcomes: Vec<Option<Outcome>>,
    /// The charges of the next attempt.
    pub(super) admitted: Vec<usize>,
    /// The refusals that are final if that attempt succeeds.
    pub(super) short: Vec<(usize, Error)>,
    /// The refusal that the pool stores in the same write.
    pub(super) note: Option<RefusalNote>,
    /// Whether a write of the pool met a conflict.
    pub(super) has_met_conflict: bool,
    /// The number of reads of a marked pool.
    pub(super) looks: u32,
    /// The recall of the team's lanes.
    pub(super) recall: Recall,
    /// The pause of enrichment in which the paying hold was taken, once it has ended.
    pub(super) ended_pause: Option<u64>,
}

/// The refusal that a pool stores.
#[derive(Clone, Debug)]
pub(super) struct RefusalNote {
    /// The pool as it was read.
    pub(super) pool: Pool,
    /// The refused charge.
    pub(super) refused: Refused,
    /// Whether it pauses enrichment.
    pub(super) pauses: bool,
    /// The credits in the pool that would cover the charge, or one unit of it if it pauses enrichment.
    pub(super) enough: Credits,
    /// The credits in lanes and expired holds.
    more: Credits,
}

impl RefusalNote {
    /// The team's pool after the write, which also takes `cost`.
    pub(super) fn after(self, cost: Credits) -> Pool {
        let Self { mut pool, refused, pauses, more, .. } = self;
        let stored = pool.balance.credits.excess_over(cost);
        pool.balance.credits = stored.checked_add(more).unwrap_or(Credits::MAX);
        pool.paused_at = pauses.then_some(refused.at).or(pool.paused_at);
        pool.refused = Some(refused);
        pool
    }
}

/// The funds that charges are admitted by.
#[derive(Clone, Copy)]
pub(super) struct Funds {
    /// The credits of the payer.
    pub(super) credits: Credits,
    /// The credits in lanes and expired holds.
    pub(super) more: Credits,
    /// Whether enrichment is paused.
    pub(super) is_paused: bool,
    /// Whether a refusal may pause enrichment.
    pub(super) may_pause: bool,
}

impl Batch {
    pub(super) fn of(charges: Vec<Entry>) -> Self {
        let outcomes = vec![None; charges.len()];
        let mut batch = Self {
            outcomes,
            charges,
            admitted: Vec::new(),
            short: Vec::new(),
            note: None,
            has_met_conflict: false,
            looks: 0,
            recall: Recall::default(),
            ended_pause: None,
        };
        batch.admit_all();
        batch
    }

    /// Whether there is anything to write.
    pub(super) fn is_open(&self) -> bool {
        !self.admitted.is_empty() || self.note.is_some()
    }

    /// Admits everything without an outcome.
    pub(super) fn admit_all(&mut self) {
        self.short.clear();
        self.note = None;
        self.admitted = self.open().collect();
    }

    fn open(&self) -> impl Iterator<Item = usize> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes.filter(|(_, outcome)| outcome.is_none()).map(|(index, _)| index)
    }

    pub(super) fn admitted(&self) -> impl Iterator<Item = &Entry> {
        self.admitted.iter().filter_map(|index| self.charges.get(*index))
    }

    /// The cost of everything admitted.
    pub(super) fn cost(&self) -> Credits {
        let add = |sum: Credits, entry: &Entry| sum.checked_add(entry.spent());
        self.admitted().try_fold(Credits::ZERO, add).unwrap_or(Credits::MAX)
    }

    /// The usage of everything admitted.
    pub(super) fn usage(&self) -> Usage {
        Usage::of(self.admitted())
    }

    /// Whether an admitted charge is enrichment.
    pub(super) fn has_enrichment(&self) -> bool {
        self.admitted().any(Entry::is_enrichment)
    }

    /// Whether a charge without an outcome is enrichment.
    pub(super) fn has_open_enrichment(&self) -> bool {
        self.open().filter_map(|index| self.charges.get(index)).any(Entry::is_enrichment)
    }

    /// The cost of the cheapest admitted charge.
    pub(super) fn least(&self) -> Credits {
        self.admitted().map(Entry::spent).min().unwrap_or_default()
    }

    /// Admits what the funds cover, as if each charge were made in turn.
    pub(super) fn admit(&mut self, funds: Funds) {
        self.admit_all();
        let Funds { credits: mut left, more, mut is_paused, may_pause } = funds;
        for index in std::mem::take(&mut self.admitted) {
            let Some(charge) = self.charges.get(index) else { continue };
            let required = charge.spent();
            if is_paused && charge.is_enrichment() {
                self.short.push((index, Error::EnrichmentPaused));
            } else if let Some(rest) = left.checked_sub(required) {
                left = rest;
                self.admitted.push(index);
            } else {
                let all = left.checked_add(more).unwrap_or(Credits::MAX);
                is_paused |= may_pause && charge.pauses_enrichment_at(all);
                self.short.push((index, Error::InsufficientCredits { balance: left, required }));
            }
        }
    }

    /// Selects the refusal that the pool stores, unless it has stored one that tells the same. `more` are the
    /// credits in lanes and expired holds.
    pub(super) fn note_short(&mut self, pool: &Pool, more: Credits, now: Time) {
        let untold = self.short.iter().filter_map(|(index, error)| {
            let Error::InsufficientCredits { balance, required } = error else { return None };
            let all = balance.checked_add(more).unwrap_or(Credits::MAX);
            let charge = self.charges.get(*index).filter(|charge| !pool.has_noted(charge, all))?;
            let pauses = !pool.is_paused() && charge.pauses_enrichment_at(all);
            let needed = if pauses { charge.unit_cost() } else { *required };
            Some((charge, pauses, needed.excess_over(*balance)))
        });
        // The first that pauses enrichment says more than one that does not.
        let tells = untold.min_by_key(|(_, pauses, _)| !pauses);
        self.note = tells.map(|(charge, pauses, missing)| RefusalNote {
            refused: Refused {
                at: now,
                action: charge.action.clone().unwrap_or_default(),
                required: charge.spent(),
            },
            pauses,
            enough: pool
                .balance
                .credits
                .checked_add(missing)
                .unwrap_or(Credits::MAX)
                .excess_over(more),
            more,
            pool: pool.clone(),
        });
    }

    /// The credits that are missing for the first refused charge that `more` credits would cover.
    pub(super) fn missing_within(&self, more: Credits) -> Option<Credits> {
        self.short.iter().find_map(|(_, error)| {
            let Error::InsufficientCredits { balance, required } = error else { return None };
            Some(required.excess_over(*balance)).filter(|missing| *missing <= more)
        })
    }

    /// Adds `more` credits to the balances that refusals tell.
    pub(super) fn tell_of_more(&mut self, more: Credits) {
        for (_, error) in &mut self.short {
            if let Error::InsufficientCredits { balance, required } = error
                && let Some(all) = balance.checked_add(more).filter(|all| all < required)
            {
                *balance = all;
            }
        }
    }

    /// Turns refusals of the pool into those of a hold.
    pub(super) fn short_of_hold(&mut self) {
        for (_, error) in &mut self.short {
            if let Error::InsufficientCredits { balance, required } = *error {
                *error = Error::HoldExceeded { remaining: balance, required };
            }
        }
    }

    /// Answers the admitted charges whose entries exist.
    pub(super) fn answer_replays(&mut self, legs: impl Iterator<Item = LegResult>) {
        let tried = std::mem::take(&mut self.admitted);
        for (index, leg) in tried.into_iter().zip(legs) {
            if let (LegResult::Failed(Some(image)), Some(asked)) = (leg, self.charges.get(index)) {
                let outcome = Outcome::earlier(image, asked).unwrap_or_else(Outcome::Refused);
                self.set(index, outcome);
            } else {
                self.admitted.push(index);
            }
        }
    }

    /// Answers everything admitted.
    pub(super) fn answer_admitted(&mut self, outcomes: Vec<Outcome>) {
        for (index, outcome) in std::mem::take(&mut self.admitted).into_iter().zip(outcomes) {
            self.set(index, outcome);
        }
    }

    pub(super) fn charge_admitted(&mut self) {
        for index in std::mem::take(&mut self.admitted) {
            if let Some(entry) = self.charges.get(index).cloned() {
                self.set(index, Outcome::Charged(entry));
            }
        }
    }

    /// Refuses everything without an outcome.
    pub(super) fn refuse_open(&mut self, error: &Error) {
        self.admitted.clear();
        self.short.clear();
        self.note = None;
        for outcome in &mut self.outcomes {
            outcome.get_or_insert_with(|| Outcome::Refused(error.clone()));
        }
    }

    pub(super) fn finish(mut self) -> Vec<Outcome> {
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
