//! An update expression and its condition, piece by piece.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Update};
use serde::Serialize;

use super::keys::{self, Item};
use crate::domain::Error;
use crate::domain::pool::{OwedStep, Pool};

/// The pieces of an update.
#[derive(Debug, Default)]
pub(super) struct Expression {
    sets: Vec<String>,
    removes: Vec<String>,
    conditions: Vec<String>,
    values: Item,
    names: Vec<(String, String)>,
}

impl Expression {
    pub(super) fn set(&mut self, set: impl Into<String>) {
        self.sets.push(set.into());
    }

    pub(super) fn remove(&mut self, remove: impl Into<String>) {
        self.removes.push(remove.into());
    }

    pub(super) fn condition(&mut self, condition: impl Into<String>) {
        self.conditions.push(condition.into());
    }

    pub(super) fn value(&mut self, name: &str, value: AttributeValue) {
        self.values.insert(name.to_owned(), value);
    }

    /// Sets and removes what differs between two versions of a stored map. Attributes that neither of
    /// them has, because a newer version wrote them, stay as they are.
    pub(super) fn replace(
        &mut self,
        path: &str,
        before: &impl Serialize,
        after: &impl Serialize,
    ) -> Result<(), Error> {
        let before: Item = serde_dynamo::to_item(before).map_err(Error::internal)?;
        let after: Item = serde_dynamo::to_item(after).map_err(Error::internal)?;
        self.replace_in(&[path], &before, &after);
        Ok(())
    }

    /// Sets all attributes of a thing.
    pub(super) fn put(&mut self, thing: &impl Serialize) -> Result<(), Error> {
        let item: Item = serde_dynamo::to_item(thing).map_err(Error::internal)?;
        self.replace_in(&[], &Item::new(), &item);
        Ok(())
    }

    fn replace_in(&mut self, path: &[&str], before: &Item, after: &Item) {
        for (name, value) in after {
            let path = [path, &[name.as_str()]].concat();
            match (before.get(name), value) {
                (Some(same), _) if same == value => {}
                (Some(AttributeValue::M(before)), AttributeValue::M(after)) => {
                    self.replace_in(&path, before, after);
                }
                _ => self.assign_at(&path, value.clone()),
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            let path = self.path(&[path, &[name.as_str()]].concat());
            self.remove(path);
        }
    }

    fn assign_at(&mut self, path: &[&str], value: AttributeValue) {
        let placeholder = format!(":r{}", self.values.len());
        let path = self.path(path);
        self.set(format!("{path} = {placeholder}"));
        self.value(&placeholder, value);
    }

    /// A document path, with placeholders for names because they may be reserved words.
    fn path(&mut self, path: &[&str]) -> String {
        let names: Vec<String> = path.iter().map(|name| self.name(name)).collect();
        names.join(".")
    }

    fn name(&mut self, name: &str) -> String {
        if let Some((placeholder, _)) = self.names.iter().find(|(_, known)| known == name) {
            return placeholder.clone();
        }
        let placeholder = format!("#r{}", self.names.len());
        self.names.push((placeholder.clone(), name.to_owned()));
        placeholder
    }

    /// Adds `:grant` free credits on top of a pool, or in the place of those that are left.
    ///
    /// Free credits lapse in the same write as the ledger says how many, so a reset pins their number.
    /// A pool below its mark has none: the mark comes down to what is left, and the purchased credits
    /// that the epoch used are owed to the holds that are open.
    pub(super) fn grant(&mut self, seen: &Pool, is_reset: bool) {
        self.remove("refused");
        self.set("epoch = :epoch");
        self.value(":epoch", keys::number(seen.epoch.saturating_add(1)));
        if seen.balance.is_below_mark() {
            self.condition("credits < mark");
            self.set("mark = credits, credits = credits + :grant");
        } else if is_reset {
            self.pin(seen);
            self.set("credits = mark + :grant");
        } else {
            self.condition("credits >= mark");
            self.set("credits = credits + :grant");
        }
        match seen.owed_step() {
            OwedStep::Keep if seen.balance.is_below_mark() => {
                self.condition("hold_epoch = :hold_epoch");
                self.value(":hold_epoch", keys::number(seen.hold_epoch));
            }
            OwedStep::Keep => {}
            OwedStep::Clear => {
                self.condition("open_holds = :no_holds");
                self.set("owed = :nothing");
                self.value(":no_holds", keys::number(0));
                self.value(":nothing", AttributeValue::M(Item::new()));
            }
            OwedStep::Add(group) => {
                let group = self.name(&group.to_string());
                self.set(format!("owed.{group} = mark - credits"));
            }
        }
    }

    /// Requires that the balance is as it was seen. No charge moves it while a change is due, so this
    /// does not lose to a busy pool.
    pub(super) fn pin(&mut self, seen: &Pool) {
        if self.values.contains_key(":credits") {
            return;
        }
        self.condition("credits = :credits AND mark = :mark");
        self.value(":credits", keys::number(seen.balance.credits.get()));
        self.value(":mark", keys::number(seen.balance.mark.get()));
    }

    /// The update.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn build(self, mut update: UpdateBuilder) -> Result<Update, Error> {
        let mut expression = format!("SET {}", self.sets.join(", "));
        if !self.removes.is_empty() {
            expression = format!("{expression} REMOVE {}", self.removes.join(", "));
        }
        for (placeholder, name) in self.names {
            update = update.expression_attribute_names(placeholder, name);
        }
        update
            .update_expression(expression)
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_values(Some(self.values))
            .build()
            .map_err(Error::internal)
    }
}
