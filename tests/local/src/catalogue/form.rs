//! The form of the file: the fields of each object, and the values that they may have.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::domain::Credits;
use shared::domain::catalogue::action_code::ActionCode;
use shared::domain::catalogue::plans::{Cadence, Per, Period};
use shared::domain::limits::QUANTITY_MAX;
use shared::domain::money::Currency;

use super::Mistakes;
use super::json::{Field, Node};

/// The rule of a field.
struct Rule {
    name: &'static str,
    is_required: bool,
    form: Form,
}

/// The form of a value.
enum Form {
    /// A value for which the function returns true; it "must be" as the text says.
    Leaf(fn(Node) -> bool, &'static str),
    /// An array whose elements fit; the array and an element "must be" as the texts say.
    Leaves(fn(Node) -> bool, &'static str, &'static str),
    /// An object.
    Object(&'static [Rule]),
    /// An array of objects.
    Objects(&'static [Rule]),
}

const NAME: &str = "a name: a lowercase letter, then up to 49 lowercase letters, digits or _";
const CREDITS: &str = "a whole number of credits, at most 9007199254740991";
const BOOL: &str = "true or false";
const PRESETS: &str = "an array of whole numbers of credits";
const OUTCOMES: &str = "an array of names of outcomes";

const FILE: &[Rule] = &[
    optional("$schema", Form::Leaf(is::<String>, "the path of a schema")),
    required("versions", Form::Leaf(|node| node.elements().is_some(), "an array")),
];

const VERSION: &[Rule] = &[
    required("version", Form::Leaf(is::<Label>, "a text of 1 to 20 letters, digits or . _ -")),
    required("effective", Form::Leaf(is_date, "a date such as 2027-03-01")),
    required("credit", Form::Leaf(is_object, "an object")),
    required("purchase", Form::Leaf(is_object, "an object")),
    required("actions", Form::Leaf(is_object, "an object")),
    required("plans", Form::Leaf(is_object, "an object")),
];

const CREDIT: &[Rule] = &[
    required("cents", Form::Leaf(is_positive, "a whole number of cents from 1 on")),
    required("currency", Form::Leaf(is::<Currency>, "three lowercase letters, such as eur")),
];

const PURCHASE: &[Rule] = &[
    required("minimum", Form::Leaf(is_positive, "a whole number of credits from 1 on")),
    required("maximum", Form::Leaf(is_positive, "a whole number of credits from 1 on")),
    required("presets", Form::Leaves(is::<Credits>, PRESETS, CREDITS)),
];

const ACTION: &[Rule] = &[
    required("code", Form::Leaf(is::<ActionCode>, "two lowercase letters, but neither as nor de")),
    required("unit", Form::Leaf(is::<Name>, NAME)),
    optional("rounding", Form::Object(ROUNDING)),
    required("credits", Form::Leaf(is::<Credits>, CREDITS)),
    required("charged", Form::Leaves(is::<Name>, OUTCOMES, NAME)),
    optional("free", Form::Leaves(is::<Name>, OUTCOMES, NAME)),
    optional("enrichment", Form::Leaf(is::<bool>, BOOL)),
    optional("own_key", Form::Leaf(is::<bool>, BOOL)),
    optional("monthly_per_account", Form::Leaf(is::<bool>, BOOL)),
];

const ROUNDING: &[Rule] = &[
    required("quantity", Form::Leaf(is::<Name>, NAME)),
    required("per_unit", Form::Leaf(is_quantity, "a whole number from 1 to 1000000")),
];

const PLAN: &[Rule] = &[
    required("credits", Form::Leaf(is::<Credits>, CREDITS)),
    required("per", Form::Leaf(is::<Per>, "team or seat")),
    required("cadence", Form::Leaf(is::<Cadence>, "once, monthly or none")),
    optional("account_created_before", Form::Leaf(is_date, "a date such as 2027-03-01")),
    optional("agreed_amount", Form::Leaf(is::<bool>, BOOL)),
    optional("trial", Form::Leaf(is::<bool>, BOOL)),
    optional("retired", Form::Leaf(is::<bool>, BOOL)),
    optional("limits", Form::Objects(LIMIT)),
];

const LIMIT: &[Rule] = &[
    optional("action", Form::Leaf(is::<Name>, NAME)),
    required("per", Form::Leaf(is::<Period>, "day, week or month")),
    required("credits", Form::Leaf(is::<Credits>, CREDITS)),
];

const fn required(name: &'static str, form: Form) -> Rule {
    Rule { name, is_required: true, form }
}

const fn optional(name: &'static str, form: Form) -> Rule {
    Rule { name, is_required: false, form }
}

fn is<T: DeserializeOwned>(node: Node) -> bool {
    node.to::<T>().is_some()
}

fn is_object(node: Node) -> bool {
    node.fields().is_some()
}

/// A date alone: the parser also accepts a time and ignores it.
fn is_date(node: Node) -> bool {
    let text = node.to::<String>();
    node.to::<Date>().is_some_and(|date| text.is_some_and(|text| text == date.to_string()))
}

fn is_quantity(node: Node) -> bool {
    node.to::<u64>().is_some_and(|quantity| (1..=QUANTITY_MAX).contains(&quantity))
}

fn is_positive(node: Node) -> bool {
    node.to::<Credits>().is_some_and(|credits| !credits.is_zero())
}

/// The name of an action, a plan, an outcome or a unit.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name;

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_name = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= 50
            && text.chars().all(is_allowed);
        is_name.then_some(Self).ok_or(NAME)
    }
}

/// The name of a version.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Label;

impl TryFrom<String> for Label {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_label = (1..=20).contains(&text.len()) && text.chars().all(is_allowed);
        is_label.then_some(Self).ok_or("is no name of a version")
    }
}

/// The values of the fields of an object by name. A field that a version removed is null, at its name.
pub(super) type Fields<'a> = BTreeMap<String, Node<'a>>;

/// The actions or the plans by name.
pub(super) type Named<'a> = BTreeMap<String, Fields<'a>>;

/// The catalogue after a version.
#[derive(Clone, Default)]
pub(super) struct State<'a> {
    /// The number of bytes before the version.
    pub(super) at: usize,
    pub(super) version: Fields<'a>,
    pub(super) credit: Fields<'a>,
    pub(super) purchase: Fields<'a>,
    pub(super) actions: Named<'a>,
    pub(super) plans: Named<'a>,
}

/// The states after each version of a file, for each field `versions` that it has; one is right. Reports what
/// has not the form of the file.
pub(super) fn states<'a>(file: Node<'a>, mistakes: &mut Mistakes) -> Vec<Vec<State<'a>>> {
    merge(&mut Fields::new(), file, FILE, mistakes);
    let fields = file.fields().unwrap_or_default();
    let arrays = fields.into_iter().filter(|field| field.name == "versions");
    arrays.map(|field| states_of(field.value, mistakes)).collect()
}

fn states_of<'a>(versions: Node<'a>, mistakes: &mut Mistakes) -> Vec<State<'a>> {
    let elements = versions.elements();
    if elements.as_ref().is_some_and(Vec::is_empty) {
        mistakes.add(versions.at, "`versions` must have at least one version");
    }
    let mut states: Vec<State> = Vec::new();
    for version in elements.unwrap_or_default() {
        let state = states.last().cloned().unwrap_or_default();
        states.push(state.after(version, mistakes));
    }
    states
}

impl<'a> State<'a> {
    /// The state after the changes of a version.
    fn after(mut self, version: Node<'a>, mistakes: &mut Mistakes) -> Self {
        self.at = version.at;
        // A later version leaves out what it does not change, but never its name and its date.
        self.version.retain(|name, _| !matches!(name.as_str(), "version" | "effective"));
        merge(&mut self.version, version, VERSION, mistakes);
        let fields = version.fields().unwrap_or_default();
        for Field { name, value, .. } in fields.into_iter().filter(|field| is_object(field.value)) {
            match name.as_str() {
                "credit" => merge(&mut self.credit, value, CREDIT, mistakes),
                "purchase" => merge(&mut self.purchase, value, PURCHASE, mistakes),
                "actions" => merge_named(&mut self.actions, value, ACTION, mistakes),
                "plans" => merge_named(&mut self.plans, value, PLAN, mistakes),
                _ => {}
            }
        }
        self
    }

    /// The place at which the last version that changes actions removes an action.
    pub(super) fn removal(&self, action: &str) -> Option<usize> {
        let changes = self.version.get("actions").and_then(|actions| actions.fields());
        let mut changes = changes.into_iter().flatten();
        changes.find(|it| it.name == action && it.value.is_null()).map(|it| it.at)
    }
}

/// Adds, changes and removes the actions or the plans that a version names.
fn merge_named<'a>(
    named: &mut Named<'a>,
    node: Node<'a>,
    rules: &'static [Rule],
    mistakes: &mut Mistakes,
) {
    let mut seen = BTreeSet::new();
    for field in node.fields().unwrap_or_default() {
        let name = field.name;
        if !seen.insert(name.clone()) {
            mistakes.add(field.at, format!("`{name}` occurs twice"));
        }
        if Name::try_from(name.clone()).is_err() {
            mistakes.add(field.at, format!("`{name}` must be {NAME}"));
        }
        if field.value.is_null() {
            if named.remove(&name).is_none() {
                mistakes.add(field.at, format!("there is no `{name}` to remove"));
            }
        } else {
            merge(named.entry(name).or_default(), field.value, rules, mistakes);
        }
    }
}

/// Changes the fields that an object names. Reports fields without the form that their rules require, and
/// required ones that are missing.
fn merge<'a>(
    fields: &mut Fields<'a>,
    node: Node<'a>,
    rules: &'static [Rule],
    mistakes: &mut Mistakes,
) {
    let Some(changes) = node.fields() else {
        mistakes.add(node.at, "must be an object");
        return;
    };
    let is_first = fields.is_empty();
    let mut seen = BTreeSet::new();
    for change in changes {
        let name = change.name;
        if !seen.insert(name.clone()) {
            mistakes.add(change.at, format!("`{name}` occurs twice"));
        }
        let Some(rule) = rules.iter().find(|rule| rule.name == name) else {
            let known: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
            let known = known.join(", ");
            mistakes.add(change.at, format!("unknown field `{name}`; the fields are {known}"));
            continue;
        };
        if change.value.is_null() && !(is_first && rule.is_required) {
            if rule.is_required {
                mistakes.add(change.at, format!("`{name}` cannot be removed"));
            }
            let mut removed = change.value;
            removed.at = change.at;
            fields.insert(name, removed);
        } else {
            check_form(rule, change.value, mistakes);
            fields.insert(name, change.value);
        }
    }
    for rule in rules.iter().filter(|rule| rule.is_required) {
        if !fields.contains_key(rule.name) {
            mistakes.add(node.at, format!("`{}` is missing", rule.name));
            // It is reported once, for the first version that lacks it.
            fields.insert(rule.name.to_owned(), node);
        }
    }
}

fn check_form(rule: &Rule, node: Node, mistakes: &mut Mistakes) {
    let name = rule.name;
    match rule.form {
        Form::Leaf(fits, must) => {
            if !fits(node) {
                mistakes.add(node.at, format!("`{name}` must be {must}"));
            }
        }
        Form::Leaves(fits, must, each_must) => match node.elements() {
            Some(elements) => {
                for element in elements.into_iter().filter(|element| !fits(*element)) {
                    mistakes.add(element.at, format!("an element of `{name}` must be {each_must}"));
                }
            }
            None => mistakes.add(node.at, format!("`{name}` must be {must}")),
        },
        Form::Object(rules) => merge(&mut Fields::new(), node, rules, mistakes),
        Form::Objects(rules) => match node.elements() {
            Some(elements) => {
                for element in elements {
                    merge(&mut Fields::new(), element, rules, mistakes);
                }
            }
            None => mistakes.add(node.at, format!("`{name}` must be an array")),
        },
    }
}
