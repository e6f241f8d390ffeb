//! The charges of one write, and their results so far.

use crate::domain::ledger::entry::Entry;
use crate::domain::pool::Pool;
use crate::domain::pool::refusal::StoredRefusal;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};
use crate::store::dynamo::failure::LegResult;
use crate::store::dynamo::transaction::{Cancelled, Leg};
use crate::store::entry::EntryResult;

/// The most charges of one transaction: 100 legs without that of the payer.
pub const CHARGES_PER_WRITE_MAX: usize = 99;

/// The charges of one write and their results.
pub(super) struct Admission {
    charges: Vec<Entry>,
    results: Vec<Option<EntryResult>>,
    /// The charges of the next attempt.
    pub(super) admitted: Vec<usize>,
    /// The charges whose refusals are final if that attempt succeeds.
    uncovered: Vec<Uncovered>,
    /// The funds that they were refused by.
    funds: Funds,
    /// The refusal that the pool stores in the same write.
    pub(super) new_refusal: Option<NewRefusal>,
}

/// The funds that charges are admitted by.
#[derive(Clone, Copy, Default)]
pub(super) struct Funds {
    /// The credits of the payer.
    credits: Credits,
    /// The credits in lanes and expired holds.
    pub(super) more: Credits,
    /// Whether enrichment is paused.
    is_paused: bool,
    /// Whether the payer is a hold.
    is_hold: bool,
}

impl Funds {
    /// The funds of a pool, without those in lanes and expired holds.
    pub(super) fn of_pool(pool: &Pool) -> Self {
        let (credits, more) = (pool.balance.credits, Credits::ZERO);
        Self { credits, more, is_paused: pool.is_paused(), is_hold: false }
    }

    /// The funds of a hold.
    pub(super) const fn of_hold(remaining: Credits, is_paused: bool) -> Self {
        Self { credits: remaining, more: Credits::ZERO, is_paused, is_hold: true }
    }
}

/// A charge that is not covered.
#[derive(Clone, Copy)]
struct Uncovered {
    index: usize,
    required: Credits,
    /// The credits that the admitted charges before it leave. `None` if it is refused because enrichment is paused.
    left: Option<Credits>,
}

/// The refusal that a pool stores.
#[derive(Clone, Debug)]
pub(super) struct NewRefusal {
    /// The pool as it was read.
    pub(super) pool: Pool,
    /// The refused charge.
    pub(super) refused: StoredRefusal,
    /// Whether it pauses enrichment.
    pub(super) pauses: bool,
    /// The credits in the pool that would cover the charge, or one unit of it if it pauses enrichment.
    pub(super) enough: Credits,
    /// The credits in lanes and expired holds.
    more: Credits,
    /// The next expiry of a hold.
    pub(super) next_expiry: Option<Time>,
}

impl NewRefusal {
    /// The team's pool after the write, which also takes `cost`.
    pub(super) fn pool_after(self, cost: Credits) -> Result<Pool, Error> {
        let Self { mut pool, refused, pauses, more, .. } = self;
        pool.balance.credits = pool.balance.credits.excess_over(cost).try_add(more)?;
        pool.paused_at = pauses.then_some(refused.at).or(pool.paused_at);
        pool.refused = Some(refused);
        Ok(pool)
    }
}

impl Admission {
    pub(super) fn of(charges: Vec<Entry>) -> Self {
        let results = vec![None; charges.len()];
        let (admitted, uncovered) = ((0..charges.len()).collect(), Vec::new());
        Self { charges, results, admitted, uncovered, funds: Funds::default(), new_refusal: None }
    }

    /// Whether there is anything to write.
    pub(super) fn is_open(&self) -> bool {
        !self.admitted.is_empty() || self.new_refusal.is_some()
    }

    /// Whether no charge is left to admit or to refuse.
    pub(super) fn is_answered(&self) -> bool {
        self.admitted.is_empty() && self.uncovered.is_empty()
    }

    /// Whether a charge is refused.
    pub(super) fn has_uncovered(&self) -> bool {
        !self.uncovered.is_empty()
    }

    /// The admitted charges.
    pub(super) fn admitted(&self) -> impl Iterator<Item = &Entry> + Clone {
        self.admitted.iter().filter_map(|index| self.charges.get(*index))
    }

    /// The places of the charges without a result.
    fn open(&self) -> impl Iterator<Item = usize> {
        let results = self.results.iter().enumerate();
        results.filter(|(_, result)| result.is_none()).map(|(index, _)| index)
    }

    /// Whether a charge without a result is enrichment.
    pub(super) fn has_open_enrichment(&self) -> bool {
        self.open().filter_map(|index| self.charges.get(index)).any(Entry::is_enrichment)
    }

    /// Whether charges are admitted, a pool covers none of them, it has no lanes and holds that could return credits,
    /// and it needs to store none of the refusals.
    pub(super) fn is_uncovered_by(&self, pool: &Pool) -> bool {
        let balance = pool.balance.credits;
        let may_gain = pool.open_holds > 0 || !pool.lanes.is_zero();
        let is_usable = !may_gain && pool.check_open().is_ok();
        is_usable
            && !self.admitted.is_empty()
            && self.admitted().all(|charge| charge.amount() > balance)
            && self.admitted().all(|charge| pool.has_stored_refusal(charge, balance))
    }

    /// Admits everything without a result.
    pub(super) fn admit_all(&mut self) {
        self.uncovered.clear();
        self.new_refusal = None;
        self.admitted = self.open().collect();
    }

    /// Admits what the funds cover, as if each charge were made in turn.
    pub(super) fn admit(&mut self, funds: Funds) -> Result<(), Error> {
        self.admit_all();
        self.funds = funds;
        let Funds { credits: mut left, more, mut is_paused, is_hold } = funds;
        for index in std::mem::take(&mut self.admitted) {
            let Some(charge) = self.charges.get(index) else { continue };
            let required = charge.amount();
            if is_paused && charge.is_enrichment() {
                self.uncovered.push(Uncovered { index, required, left: None });
            } else if let Some(rest) = left.checked_sub(required) {
                left = rest;
                self.admitted.push(index);
            } else {
                is_paused |= !is_hold && charge.pauses_enrichment_at(left.try_add(more)?);
                self.uncovered.push(Uncovered { index, required, left: Some(left) });
            }
        }
        Ok(())
    }

    /// The credits that are missing for the first refused charge that lanes and expired holds would cover.
    pub(super) fn missing_within_more(&self) -> Option<Credits> {
        self.uncovered.iter().find_map(|Uncovered { required, left, .. }| {
            Some(required.excess_over((*left)?)).filter(|missing| *missing <= self.funds.more)
        })
    }

    /// Selects the refusal that the pool stores, unless it has stored an equal one.
    pub(super) fn select_refusal(
        &mut self,
        pool: &Pool,
        next_expiry: Option<Time>,
        now: Time,
    ) -> Result<(), Error> {
        let more = self.funds.more;
        let mut selected: Option<(&Entry, bool, Credits)> = None;
        for Uncovered { index, required, left } in &self.uncovered {
            let (Some(left), Some(charge)) = (left, self.charges.get(*index)) else { continue };
            let balance = left.try_add(more)?;
            let pauses = !pool.is_paused() && charge.pauses_enrichment_at(balance);
            // The first refusal that pauses enrichment takes precedence over all that do not.
            let is_better = selected.is_none_or(|(_, other_pauses, _)| pauses && !other_pauses);
            if is_better && !pool.has_stored_refusal(charge, balance) {
                let needed = if pauses { charge.unit_cost() } else { *required };
                selected = Some((charge, pauses, needed.excess_over(*left)));
            }
        }
        let Some((charge, pauses, missing)) = selected else { return Ok(()) };
        self.new_refusal = Some(NewRefusal {
            refused: StoredRefusal {
                at: now,
                action: charge.charged().map(|charged| charged.action.clone()).unwrap_or_default(),
                required: charge.amount(),
            },
            pauses,
            enough: pool.balance.credits.try_add(missing)?.excess_over(more),
            more,
            next_expiry,
            pool: pool.clone(),
        });
        Ok(())
    }

    /// The refusal of a charge. Its balance includes lanes and expired holds.
    fn refusal(&self, uncovered: Uncovered) -> Error {
        let Uncovered { required, left: Some(left), .. } = uncovered else {
            return Error::EnrichmentPaused;
        };
        if self.funds.is_hold {
            return Error::HoldExceeded { remaining: left, required };
        }
        let all = left.checked_add(self.funds.more).filter(|all| *all < required);
        Error::InsufficientCredits { balance: all.unwrap_or(left), required }
    }

    /// Answers the admitted charges whose entries exist. `entries` are their legs.
    pub(super) fn answer_replays(&mut self, entries: &[Leg], cancelled: &Cancelled) {
        for (index, leg) in std::mem::take(&mut self.admitted).into_iter().zip(entries) {
            match (cancelled.leg(*leg), self.charges.get(index)) {
                (LegResult::Failed(Some(image)), Some(asked)) => {
                    let result = EntryResult::of_image(image.clone(), asked);
                    self.set(index, result.unwrap_or_else(EntryResult::Refused));
                }
                _ => self.admitted.push(index),
            }
        }
    }

    /// Answers everything admitted.
    pub(super) fn answer_admitted(&mut self, results: Vec<EntryResult>) {
        for (index, result) in std::mem::take(&mut self.admitted).into_iter().zip(results) {
            self.set(index, result);
        }
    }

    /// Answers everything admitted as charged.
    pub(super) fn charge_admitted(&mut self) {
        self.answer_admitted(self.admitted().cloned().map(EntryResult::Created).collect());
    }

    /// Refuses everything without a result.
    pub(super) fn refuse_open(&mut self, error: &Error) {
        self.admitted.clear();
        self.uncovered.clear();
        self.new_refusal = None;
        for result in &mut self.results {
            result.get_or_insert_with(|| EntryResult::Refused(error.clone()));
        }
    }

    /// The results in the order of the charges.
    pub(super) fn into_results(mut self) -> Vec<EntryResult> {
        for uncovered in std::mem::take(&mut self.uncovered) {
            let refusal = EntryResult::Refused(self.refusal(uncovered));
            self.set(uncovered.index, refusal);
        }
        let lost = || EntryResult::Refused(Error::internal("a charge has no result"));
        self.results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    fn set(&mut self, index: usize, result: EntryResult) {
        if let Some(slot) = self.results.get_mut(index) {
            *slot = Some(result);
        }
    }
}
