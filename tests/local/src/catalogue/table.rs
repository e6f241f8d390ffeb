//! `cargo run -- catalogue`: prices and plans as tables, and the changes to come.

use std::fmt::Write;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::catalogue::Catalogue;
use shared::domain::catalogue::plans::{DefaultLimit, Plan};
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::catalogue::prices::Price;

/// The prices and plans in force on a day, then the changes of each later version. Before the first version
/// they are those of the first version, which is to come.
#[must_use]
pub fn table(catalogue: &Catalogue, day: Date) -> String {
    let list = catalogue.at(day);
    let PriceList { version, effective, .. } = list;
    let mut text = if *effective <= day {
        format!("Version {version}, from {effective}, on {day}\n\n")
    } else {
        format!("No version is in force on {day}.\n\nFrom {effective}, version {version}:\n\n")
    };
    text += &aligned(&["action", "credits", "unit", "charged", "free", ""], actions(list));
    text.push('\n');
    text += &aligned(&["plan", "credits", "per", "cadence", ""], plans(list));
    text.push('\n');
    text += &sale(list);
    let lists: Vec<&PriceList> = catalogue.lists().collect();
    for pair in lists.windows(2) {
        if let [before, after] = pair
            && after.effective > day
        {
            let _ = write!(text, "\nFrom {}, version {}:\n", after.effective, after.version);
            for change in changes(before, after) {
                let _ = writeln!(text, "  {change}");
            }
        }
    }
    text
}

fn actions(list: &PriceList) -> Vec<Vec<String>> {
    let row = |price: &Price| {
        vec![
            price.name.clone(),
            price.credits.to_string(),
            price.unit.clone(),
            price.charged.join(" "),
            price.free.join(" "),
            action_notes(price).join(", "),
        ]
    };
    list.actions.iter().map(row).collect()
}

fn action_notes(price: &Price) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(rounding) = &price.rounding {
        notes.push(format!("per started {} {}", rounding.per_unit, rounding.quantity));
    }
    let flags = [
        (price.is_enrichment, "enrichment"),
        (price.own_key, "free with an own key"),
        (price.is_monthly_per_account, "monthly per account"),
    ];
    notes.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, note)| note.to_owned()));
    notes
}

fn plans(list: &PriceList) -> Vec<Vec<String>> {
    let row = |plan: &Plan| {
        vec![
            plan.name.clone(),
            plan.credits.to_string(),
            text(plan.per),
            text(plan.cadence),
            plan_notes(plan).join(", "),
        ]
    };
    list.plans.iter().map(row).collect()
}

fn plan_notes(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(day) = plan.account_created_before {
        notes.push(format!("0 for accounts created from {day} on"));
    }
    let flags = [
        (plan.agreed_amount, "or an agreed amount"),
        (plan.trial, "trial"),
        (plan.retired, "retired"),
    ];
    notes.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, note)| note.to_owned()));
    notes.extend(plan.limits.iter().map(|DefaultLimit { action, per, credits }| {
        let action = action.as_deref().unwrap_or("all actions");
        format!("at most {credits} a {} per member for {action}", text(per))
    }));
    notes
}

fn sale(list: &PriceList) -> String {
    let (credit, purchase) = (list.credit, &list.purchase);
    let presets: Vec<String> = purchase.presets.iter().map(ToString::to_string).collect();
    format!(
        "Cents per credit: {} ({}). Credits of a purchase: {} to {}; offered: {}.\n",
        credit.cents,
        credit.currency,
        purchase.minimum,
        purchase.maximum,
        presets.join(", ")
    )
}

/// The changes from one list to the next, one per line.
fn changes(before: &PriceList, after: &PriceList) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, before, after) in [
        ("action", named(&before.actions), named(&after.actions)),
        ("plan", named(&before.plans), named(&after.plans)),
    ] {
        for (name, fields) in &after {
            match before.get(name) {
                None => lines.push(format!("{kind} {name} is new: {}", listed(fields))),
                Some(old) => lines.extend(fields_changed(&format!("{kind} {name}"), old, fields)),
            }
        }
        let removed = before.keys().filter(|name| !after.contains_key(*name));
        lines.extend(removed.map(|name| format!("{kind} {name} is removed")));
    }
    lines.extend(fields_changed("credit", &json(before.credit), &json(after.credit)));
    lines.extend(fields_changed("purchase", &json(&before.purchase), &json(&after.purchase)));
    lines
}

fn fields_changed(subject: &str, before: &Value, after: &Value) -> Vec<String> {
    let empty = Map::new();
    let (before, after) =
        (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let line = |(name, value): (&String, &Value)| {
        let old = before.get(name).unwrap_or(&Value::Null);
        format!("{subject}: {name} {old} -> {value}")
    };
    changed.map(line).collect()
}

/// Actions or plans by name, as JSON.
fn named<T: Serialize>(values: &[T]) -> Map<String, Value> {
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    values.iter().map(json).filter_map(|value| Some((name(&value)?, value))).collect()
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn text(value: impl Serialize) -> String {
    json(value).as_str().unwrap_or_default().to_owned()
}

/// The fields of a new action or plan that have a value.
fn listed(fields: &Value) -> String {
    let has_value = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    let fields = fields.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, value)| *name != "name" && has_value(value));
    fields.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

/// Rows below a heading, in columns that are as wide as their widest cell.
fn aligned(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let heading: Vec<String> = heading.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            if cell.parse::<u64>().is_ok() || cell == "credits" {
                format!("{cell:>width$}  ")
            } else {
                format!("{cell:<width$}  ")
            }
        });
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}
