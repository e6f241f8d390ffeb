//! The charges of a request, in groups of one write each.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::admission::CHARGES_PER_WRITE_MAX;
use crate::domain::Error;
use crate::domain::catalogue::action_code::ActionCode;
use crate::domain::ids::Id;
use crate::domain::ledger::entry::Entry;
use crate::store::counters::{ACTIONS_PER_CAPTURE_MAX, ACTIONS_PER_WRITE_MAX};
use crate::store::entry::EntryResult;

/// Charges of one write: all to the pool, or all to one hold.
#[derive(Clone, Debug)]
pub(super) struct ChargeGroup {
    pub(super) hold: Option<Id>,
    pub(super) charges: Vec<Entry>,
    /// Their places in the request.
    places: Vec<usize>,
}

impl ChargeGroup {
    fn has_room_for(&self, charge: &Entry) -> bool {
        fit_into_a_write(self.charges.iter().chain([charge]))
    }

    /// The results if nothing is attempted.
    pub(super) fn refusals(&self, error: &Error) -> Vec<EntryResult> {
        vec![EntryResult::Refused(error.clone()); self.charges.len()]
    }
}

/// Whether charges of one payer fit into one write: their number, and that of their actions.
pub(super) fn fit_into_a_write<'a>(charges: impl Iterator<Item = &'a Entry> + Clone) -> bool {
    let has_hold = charges.clone().any(|charge| charge.hold().is_some());
    let actions_max = if has_hold { ACTIONS_PER_CAPTURE_MAX } else { ACTIONS_PER_WRITE_MAX };
    charges.clone().count() <= CHARGES_PER_WRITE_MAX
        && charges.filter_map(code).collect::<BTreeSet<_>>().len() <= actions_max
}

fn code(charge: &Entry) -> Option<ActionCode> {
    charge.metering.map(|metering| metering.code)
}

/// The groups of a request, and the results so far.
pub(super) struct ChargeGroups {
    groups: VecDeque<ChargeGroup>,
    results: Vec<Option<EntryResult>>,
    /// Existing entries whose keys are repeated in the request.
    entries: HashMap<Id, Entry>,
    /// Entries that exist and are not known yet.
    unknown: Vec<Id>,
    is_begun: bool,
}

impl ChargeGroups {
    /// Groups charges: those of one payer in their order, at most [`CHARGES_PER_WRITE_MAX`] of at most
    /// [`ACTIONS_PER_WRITE_MAX`] actions each, captures of at most [`ACTIONS_PER_CAPTURE_MAX`]. A repeated key is in a
    /// later group.
    pub(super) fn of(charges: Vec<Entry>) -> Self {
        let results = vec![None; charges.len()];
        let mut groups: Vec<ChargeGroup> = Vec::new();
        let mut group_of_entry = HashMap::new();
        for (place, charge) in charges.into_iter().enumerate() {
            let last = groups.iter().rposition(|group| group.hold.as_ref() == charge.hold());
            let last = last.filter(|last| {
                let is_later = group_of_entry.get(&charge.id).is_none_or(|group| group < last);
                let group = groups.get(*last);
                is_later && group.is_some_and(|group| group.has_room_for(&charge))
            });
            let last = last.unwrap_or_else(|| {
                let (charges, places) = (Vec::new(), Vec::new());
                groups.push(ChargeGroup { hold: charge.hold().cloned(), charges, places });
                groups.len().saturating_sub(1)
            });
            group_of_entry.insert(charge.id.clone(), last);
            if let Some(group) = groups.get_mut(last) {
                group.charges.push(charge);
                group.places.push(place);
            }
        }
        let (entries, unknown) = (HashMap::new(), Vec::new());
        Self { groups: groups.into(), results, entries, unknown, is_begun: false }
    }

    /// The next group to write. Charges whose entries are known are answered without a write.
    pub(super) fn next_group(&mut self) -> Option<ChargeGroup> {
        while let Some(ChargeGroup { hold, charges, places }) = self.groups.pop_front() {
            let mut group = ChargeGroup { hold, charges: Vec::new(), places: Vec::new() };
            for (charge, place) in charges.into_iter().zip(places) {
                if let Some(entry) = self.entries.get(&charge.id) {
                    let result = EntryResult::of_existing(entry.clone(), &charge);
                    self.set(place, result);
                } else {
                    group.charges.push(charge);
                    group.places.push(place);
                }
            }
            if !group.charges.is_empty() {
                return Some(group);
            }
        }
        None
    }

    /// Whether a group has been written.
    pub(super) const fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Stores the results of a group. As long as groups follow, it keeps the entries that exist.
    pub(super) fn set_results(&mut self, group: &ChargeGroup, results: Vec<EntryResult>) {
        self.is_begun = true;
        let is_last = self.groups.is_empty();
        for ((place, charge), result) in group.places.iter().zip(&group.charges).zip(results) {
            match &result {
                _ if is_last => {}
                EntryResult::Created(entry) | EntryResult::Replayed(entry) => {
                    self.entries.insert(entry.id.clone(), entry.clone());
                }
                EntryResult::Refused(Error::KeyReused) => self.unknown.push(charge.id.clone()),
                EntryResult::Refused(_) => {}
            }
            self.set(*place, result);
        }
    }

    /// The id of an entry that exists, and that a later group may need.
    pub(super) fn next_unknown_entry(&mut self) -> Option<Id> {
        let id = self.unknown.pop()?;
        let mut later = self.groups.iter().flat_map(|group| &group.charges);
        if later.any(|charge| charge.id == id) { Some(id) } else { self.next_unknown_entry() }
    }

    /// Stores an entry that exists.
    pub(super) fn add_entry(&mut self, entry: Option<Entry>) {
        self.entries.extend(entry.map(|entry| (entry.id.clone(), entry)));
    }

    /// The results in the order of the request.
    pub(super) fn into_results(self) -> Vec<EntryResult> {
        let lost = || EntryResult::Refused(Error::internal("a charge has no result"));
        self.results.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
    }

    fn set(&mut self, place: usize, result: EntryResult) {
        if let Some(slot) = self.results.get_mut(place) {
            *slot = Some(result);
        }
    }
}
