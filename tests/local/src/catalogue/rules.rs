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

/// The field of an action that is charged for monitored accounts.
const MONTHLY: &str = "monthly_per_account";

/// Checks the versions one by one, and against each other. A mistake is reported in the version that makes
/// it.
pub(super) fn check(states: &[State], mistakes: &mut Mistakes) {
    check_versions(states, mistakes);
    check_codes(states, mistakes);
    let mut before = None;
    for state in states {
        for action in state.actions.values() {
            check_outcomes(action, state, mistakes);
        }
        check_month(state, before, mistakes);
        check_currency(state, states, mistakes);
        check_purchase(state, mistakes);
        check_presets(state, mistakes);
        check_use(state, before, mistakes);
        for plan in state.plans.values() {
            check_plan(plan, state, mistakes);
            check_limits(plan, state, mistakes);
        }
        before = Some(state);
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

/// The number of bytes before the value of a field; 0 without the field.
fn place(fields: &Fields, name: &str) -> usize {
    fields.get(name).map_or(0, |node| node.at)
}

/// Whether there is a field with a value other than null.
fn has(fields: &Fields, name: &str) -> bool {
    fields.get(name).is_some_and(|node| !node.is_null())
}

fn is_true(fields: &Fields, name: &str) -> bool {
    value(fields, name) == Some(true)
}

/// Names of versions are unique, and their dates ascend.
fn check_versions(states: &[State], mistakes: &mut Mistakes) {
    let mut names = BTreeSet::new();
    let mut last: Option<Date> = None;
    for State { version, .. } in states {
        if value::<String>(version, "version").is_some_and(|name| !names.insert(name)) {
            mistakes.add(place(version, "version"), "another version has this name");
        }
        let effective = value::<Date>(version, "effective");
        if effective.zip(last).is_some_and(|(effective, last)| effective <= last) {
            let at = place(version, "effective");
            mistakes.add(at, "`effective` must be after that of the version before");
        }
        last = effective.max(last);
    }
}

/// There are actions and plans, a new team can start a plan, and callers can spend credits. A version that
/// keeps a mistake of the version before does not make it.
fn check_use(state: &State, before: Option<&State>, mistakes: &mut Mistakes) {
    let mut check = |is_unusable: &dyn Fn(&State) -> bool, kind: &str, detail: &str| {
        if is_unusable(state) && !before.is_some_and(is_unusable) {
            mistakes.add(place(&state.version, kind), detail);
        }
    };
    let is_closed = |plan: &Fields| is_true(plan, "retired") || has(plan, "account_created_before");
    let is_unpaid = |action: &Fields| {
        let credits = value::<Credits>(action, "credits");
        credits.is_some_and(Credits::is_zero) || is_true(action, MONTHLY)
    };
    let none_left = |kind| format!("a version needs {kind}; this one has none left");
    check(&|state| state.actions.is_empty(), "actions", &none_left("actions"));
    check(&|state| state.plans.is_empty(), "plans", &none_left("plans"));
    let all_closed = |state: &State| !state.plans.is_empty() && state.plans.values().all(is_closed);
    check(&all_closed, "plans", "no plan is left that a new team can start");
    let all_unpaid =
        |state: &State| !state.actions.is_empty() && state.actions.values().all(is_unpaid);
    check(&all_unpaid, "actions", "no action is left whose charges cost credits");
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
fn check_outcomes(action: &Fields, state: &State, mistakes: &mut Mistakes) {
    let charged = elements::<String>(action, "charged");
    if action.get("charged").is_some_and(|node| node.elements().is_some_and(|all| all.is_empty())) {
        mistakes.add(place(action, "charged"), "an action needs an outcome that is charged");
    }
    let mut seen = BTreeMap::new();
    for (kind, outcomes) in [("charged", charged), ("free", elements(action, "free"))] {
        for (node, outcome) in outcomes {
            let (at, detail) = match seen.get(&outcome) {
                Some(&(at, before)) if before == kind => (at, format!("`{outcome}` occurs twice")),
                Some(&(at, _)) => (at, format!("`{outcome}` is both charged and free")),
                None => {
                    seen.insert(outcome, (node.at, kind));
                    continue;
                }
            };
            mistakes.add_of(state, &[node.at, at], detail);
        }
    }
}

/// At most one action is charged by the month, and it has one outcome. Monitored accounts that exist need
/// such an action.
fn check_month(state: &State, before: Option<&State>, mistakes: &mut Mistakes) {
    let monthly: Vec<&Fields> =
        state.actions.values().filter(|action| is_true(action, MONTHLY)).collect();
    for action in &monthly {
        let outcomes = ["charged", "free"].map(|name| elements::<String>(action, name).len());
        if outcomes.iter().sum::<usize>() > 1 {
            let detail = "an action that is charged for monitored accounts has one outcome";
            let places = ["charged", "free", MONTHLY].map(|name| place(action, name));
            mistakes.add_of(state, &places, detail);
        }
    }
    if let [first, others @ ..] = monthly.as_slice() {
        for other in others {
            let at = place(first, MONTHLY).max(place(other, MONTHLY));
            mistakes.add(at, "another action is charged for monitored accounts");
        }
        return;
    }
    let actions = before.into_iter().flat_map(|before| &before.actions);
    for (name, _) in actions.filter(|(_, action)| is_true(action, MONTHLY)) {
        let changed = state.actions.get(name).map(|action| place(action, MONTHLY));
        let at = changed.or_else(|| state.removal(name)).unwrap_or_default();
        let detail = "no action is left that is charged for monitored accounts";
        mistakes.add_of(state, &[at], detail);
    }
}

/// The currency never changes.
fn check_currency(state: &State, states: &[State], mistakes: &mut Mistakes) {
    let currency = |state: &State| value::<String>(&state.credit, "currency");
    let first = states.first().and_then(currency);
    if currency(state).zip(first).is_some_and(|(currency, first)| currency != first) {
        mistakes.add(place(&state.credit, "currency"), "a catalogue keeps its currency");
    }
}

/// The limits of one purchase are in order, and its price stays exact.
fn check_purchase(state: &State, mistakes: &mut Mistakes) {
    let State { purchase, credit, .. } = state;
    let Some(maximum) = value::<Credits>(purchase, "maximum") else { return };
    let at = place(purchase, "maximum");
    if value::<Credits>(purchase, "minimum").is_some_and(|minimum| minimum > maximum) {
        let places = [place(purchase, "minimum"), at];
        mistakes.add_of(state, &places, "`minimum` must be at most `maximum`");
    }
    if maximum > PURCHASE_CREDITS_MAX {
        mistakes.add(at, format!("`maximum` must be at most {PURCHASE_CREDITS_MAX}"));
    }
    let cents = value::<u64>(credit, "cents").unwrap_or_default();
    if maximum.checked_mul(cents).is_none() {
        let detail = format!("`maximum` credits must cost at most {} cents", Credits::MAX);
        mistakes.add_of(state, &[place(credit, "cents"), at], detail);
    }
}

/// Presets ascend within the limits of one purchase.
fn check_presets(state: &State, mistakes: &mut Mistakes) {
    let purchase = &state.purchase;
    let limit = |name| value::<Credits>(purchase, name);
    let (minimum, maximum) = (limit("minimum"), limit("maximum"));
    let mut last = None;
    for (node, preset) in elements::<Credits>(purchase, "presets") {
        if minimum.is_some_and(|minimum| preset < minimum) {
            let detail = format!("the preset {preset} is less than `minimum`");
            mistakes.add_of(state, &[node.at, place(purchase, "minimum")], detail);
        }
        if maximum.is_some_and(|maximum| preset > maximum) {
            let detail = format!("the preset {preset} is more than `maximum`");
            mistakes.add_of(state, &[node.at, place(purchase, "maximum")], detail);
        }
        if last.is_some_and(|last| preset <= last) {
            mistakes.add(node.at, "a preset must be more than the one before");
        }
        last = Some(preset);
    }
}

/// The grants of a plan stay in the range of credits, and a plan that grants nothing has no credits.
fn check_plan(plan: &Fields, state: &State, mistakes: &mut Mistakes) {
    let Some(credits) = value::<Credits>(plan, "credits") else { return };
    let at = place(plan, "credits");
    if credits > INCLUDED_CREDITS_MAX {
        mistakes.add(at, format!("a plan grants at most {INCLUDED_CREDITS_MAX} credits"));
    }
    if value(plan, "cadence") == Some(Cadence::None) && !credits.is_zero() {
        let detail = "`credits` must be 0, because `cadence` is none";
        mistakes.add_of(state, &[at, place(plan, "cadence")], detail);
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
            let removal = state.removal(name).unwrap_or_default();
            mistakes.add_of(state, &[place(&fields, "action"), removal], detail);
        }
        let Some(per) = value::<Period>(&fields, "per") else { continue };
        if action.is_none() && has(&fields, "action") {
            continue;
        }
        if before.contains(&(action.clone(), per)) {
            mistakes.add(limit.at, "another limit has this action and this period");
        }
        before.push((action, per));
    }
}
