//! The rules of a catalogue that go beyond the form of its fields.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::de::DeserializeOwned;
use shared::domain::Credits;
use shared::domain::catalogue::plans::{Cadence, Period};
use shared::domain::limits::{INCLUDED_CREDITS_MAX, PURCHASE_CREDITS_MAX};

use super::Mistakes;
use super::form::{Fields, State};
use super::json::Node;

/// The most actions over all versions. Each has counters in the pool, which stays small.
const ACTIONS_MAX: usize = 40;

/// Checks the versions one by one, and against each other.
pub(super) fn check(states: &[State], mistakes: &mut Mistakes) {
    check_versions(states, mistakes);
    check_codes(states, mistakes);
    let mut had_month = false;
    for state in states {
        for fields in state.actions.values() {
            check_outcomes(fields, mistakes);
        }
        had_month = check_month(state, had_month, mistakes);
        check_sale(state, states, mistakes);
        check_use(state, mistakes);
        for plan in state.plans.values() {
            check_plan(plan, mistakes);
            check_limits(plan, state, mistakes);
        }
    }
}

/// The value of a field, if it has the form of a `T`.
fn value<T: DeserializeOwned>(fields: &Fields, name: &str) -> Option<T> {
    fields.get(name).and_then(|node| node.to())
}

/// The elements of an array with their places.
fn elements<'a, T: DeserializeOwned>(fields: &Fields<'a>, name: &str) -> Vec<(Node<'a>, T)> {
    let nodes = fields.get(name).and_then(|node| node.elements()).unwrap_or_default();
    nodes.into_iter().filter_map(|node| Some((node, node.to()?))).collect()
}

fn place(fields: &Fields, name: &str) -> usize {
    fields.get(name).map_or(0, |node| node.at)
}

/// Names of versions are unique, and their dates ascend.
fn check_versions(states: &[State], mistakes: &mut Mistakes) {
    let mut names = BTreeSet::new();
    let mut last: Option<Date> = None;
    for State { version, actions, plans, .. } in states {
        if value::<String>(version, "version").is_some_and(|name| !names.insert(name)) {
            mistakes.add(place(version, "version"), "another version has this name");
        }
        let effective = value::<Date>(version, "effective");
        if effective.zip(last).is_some_and(|(effective, last)| effective <= last) {
            let at = place(version, "effective");
            mistakes.add(at, "`effective` must be after that of the version before");
        }
        last = effective.max(last);
        for (named, kind) in [(actions, "actions"), (plans, "plans")] {
            if named.is_empty() && version.contains_key(kind) {
                let at = place(version, kind);
                mistakes.add(at, format!("a version needs {kind}; this one has none left"));
            }
        }
    }
}

/// A new team can start a plan, and callers can spend credits.
fn check_use(state: &State, mistakes: &mut Mistakes) {
    let State { version, actions, plans, .. } = state;
    let is_closed = |plan: &Fields| {
        value(plan, "retired") == Some(true) || plan.contains_key("account_created_before")
    };
    if !plans.is_empty() && plans.values().all(is_closed) {
        let detail = "no plan is left that a new team can start";
        mistakes.add(place(version, "plans"), detail);
    }
    let is_unpaid = |action: &Fields| {
        value::<Credits>(action, "credits").is_some_and(Credits::is_zero)
            || value(action, "monthly_per_account") == Some(true)
    };
    if !actions.is_empty() && actions.values().all(is_unpaid) {
        let detail = "no action is left whose charges cost credits";
        mistakes.add(place(version, "actions"), detail);
    }
}

/// A code is permanent: an action never changes its code, and no other action ever gets it.
fn check_codes(states: &[State], mistakes: &mut Mistakes) {
    let mut codes: BTreeMap<&str, String> = BTreeMap::new();
    for (name, fields) in states.iter().flat_map(|state| &state.actions) {
        let Some(code) = value::<String>(fields, "code") else { continue };
        let at = place(fields, "code");
        if let Some(first) = codes.get(name.as_str()) {
            if *first != code {
                let detail = format!("the code of `{name}` is `{first}` and never changes");
                mistakes.add(at, detail);
            }
            continue;
        }
        if let Some((owner, _)) = codes.iter().find(|(_, other)| **other == code) {
            mistakes.add(at, format!("`{code}` is the code of `{owner}` for all versions"));
        }
        codes.insert(name, code);
        if codes.len() == ACTIONS_MAX.saturating_add(1) {
            let detail = format!("more than {ACTIONS_MAX} actions over all versions");
            mistakes.add(at, detail);
        }
    }
}

/// An action has a charged outcome, and no outcome occurs twice.
fn check_outcomes(action: &Fields, mistakes: &mut Mistakes) {
    let charged = elements::<String>(action, "charged");
    if action.get("charged").is_some_and(|node| node.elements().is_some_and(|all| all.is_empty())) {
        mistakes.add(place(action, "charged"), "an action needs an outcome that is charged");
    }
    let mut seen = BTreeMap::new();
    for (kind, outcomes) in [("charged", charged), ("free", elements(action, "free"))] {
        for (node, outcome) in outcomes {
            let detail = match seen.get(&outcome) {
                Some(&before) if before == kind => format!("`{outcome}` occurs twice"),
                Some(_) => format!("`{outcome}` is both charged and free"),
                None => {
                    seen.insert(outcome, kind);
                    continue;
                }
            };
            mistakes.add(node.at, detail);
        }
    }
}

/// At most one action is charged by the month, and it has one outcome. Monitored accounts that exist need
/// such an action. Returns whether this or an earlier version has one.
fn check_month(state: &State, had_month: bool, mistakes: &mut Mistakes) -> bool {
    const FIELD: &str = "monthly_per_account";
    let is_monthly = |action: &&Fields| value::<bool>(action, FIELD).unwrap_or_default();
    let mut monthly = state.actions.values().filter(is_monthly);
    let Some(first) = monthly.next() else {
        if had_month {
            let at = place(&state.version, "actions");
            mistakes.add(at, "no action is left that is charged for monitored accounts");
        }
        return had_month;
    };
    for other in monthly {
        let at = place(first, FIELD).max(place(other, FIELD));
        mistakes.add(at, "another action is charged for monitored accounts");
    }
    let outcomes = ["charged", "free"].map(|name| elements::<String>(first, name).len());
    if outcomes.iter().sum::<usize>() > 1 {
        let detail = "an action that is charged for monitored accounts has one outcome";
        mistakes.add(place(first, "charged"), detail);
    }
    true
}

/// Presets ascend within the limits of one purchase, its price stays exact, and the currency never changes.
fn check_sale(state: &State, states: &[State], mistakes: &mut Mistakes) {
    let State { purchase, credit, .. } = state;
    let currency = |state: &State| value::<String>(&state.credit, "currency");
    let first = states.first().and_then(currency);
    if currency(state).zip(first).is_some_and(|(currency, first)| currency != first) {
        mistakes.add(place(credit, "currency"), "a catalogue keeps its currency");
    }
    let limit = |name| value::<Credits>(purchase, name);
    let (Some(minimum), Some(maximum)) = (limit("minimum"), limit("maximum")) else { return };
    if minimum > maximum {
        mistakes.add(place(purchase, "minimum"), "`minimum` must be at most `maximum`");
        return;
    }
    if maximum > PURCHASE_CREDITS_MAX {
        let detail = format!("`maximum` must be at most {PURCHASE_CREDITS_MAX}");
        mistakes.add(place(purchase, "maximum"), detail);
    }
    let cents = value::<u64>(credit, "cents").unwrap_or_default();
    if maximum.checked_mul(cents).is_none() {
        let detail = format!("`maximum` credits must cost at most {} cents", Credits::MAX);
        mistakes.add(place(credit, "cents"), detail);
    }
    let mut last = Credits::ZERO;
    for (node, preset) in elements::<Credits>(purchase, "presets") {
        if !(minimum..=maximum).contains(&preset) {
            mistakes.add(node.at, format!("a preset must be {minimum} to {maximum} credits"));
        } else if preset <= last {
            mistakes.add(node.at, "a preset must be more than the one before");
        }
        last = preset;
    }
}

/// The grants of a plan stay in the range of credits, and a plan that grants nothing has no credits.
fn check_plan(plan: &Fields, mistakes: &mut Mistakes) {
    let Some(credits) = value::<Credits>(plan, "credits") else { return };
    let at = place(plan, "credits");
    if credits > INCLUDED_CREDITS_MAX {
        mistakes.add(at, format!("a plan grants at most {INCLUDED_CREDITS_MAX} credits"));
    }
    if value(plan, "cadence") == Some(Cadence::None) && !credits.is_zero() {
        mistakes.add(at, "`credits` must be 0, because `cadence` is none");
    }
}

/// Default limits are distinct and name actions of the version.
fn check_limits(plan: &Fields, state: &State, mistakes: &mut Mistakes) {
    let limits = plan.get("limits").and_then(|limits| limits.elements()).unwrap_or_default();
    let mut before: Vec<(Option<String>, Period)> = Vec::new();
    for limit in limits {
        let fields: Fields =
            limit.fields().into_iter().flatten().map(|it| (it.name, it.value)).collect();
        let action = value::<String>(&fields, "action");
        if let Some(name) = action.as_ref().filter(|name| !state.actions.contains_key(*name)) {
            let detail = format!("this version has no action `{name}`");
            mistakes.add(place(&fields, "action"), detail);
        }
        let Some(per) = value::<Period>(&fields, "per") else { continue };
        if before.contains(&(action.clone(), per)) {
            mistakes.add(limit.at, "another limit has this action and this period");
        }
        before.push((action, per));
    }
}
