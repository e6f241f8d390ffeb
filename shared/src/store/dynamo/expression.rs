//! The expressions of a write to one item: visible strings, each with its values beside it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, ReturnValue, Update};
use serde::Serialize;

use super::keys::Item;
use super::{to_attribute, to_item};
use crate::domain::Error;

/// The expressions of an update, or of a conditional delete, of one item. The order of the calls does not
/// matter.
#[derive(Debug)]
pub struct Expression {
    key: Item,
    sets: Vec<String>,
    removes: Vec<String>,
    conditions: Vec<String>,
    names: BTreeMap<String, String>,
    values: Item,
    error: Option<Error>,
}

impl Expression {
    /// A write to the item with that key.
    #[must_use]
    pub fn on(key: Item) -> Self {
        Self {
            key,
            sets: Vec::new(),
            removes: Vec::new(),
            conditions: Vec::new(),
            names: BTreeMap::new(),
            values: Item::new(),
            error: None,
        }
    }

    /// Adds assignments, separated by commas.
    #[must_use]
    pub fn set(mut self, assignments: impl Into<String>) -> Self {
        self.sets.push(assignments.into());
        self
    }

    /// Adds paths to remove, separated by commas.
    #[must_use]
    pub fn remove(mut self, paths: impl Into<String>) -> Self {
        self.removes.push(paths.into());
        self
    }

    /// Adds a condition. All conditions must hold.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.conditions.push(condition.into());
        self
    }

    /// The value of a placeholder, such as `:cost`.
    #[must_use]
    pub fn value(mut self, placeholder: &str, value: impl Serialize) -> Self {
        match to_attribute(value) {
            Ok(value) => _ = self.values.insert(placeholder.to_owned(), value),
            Err(error) => self.error = Some(error),
        }
        self
    }

    /// The attribute of a placeholder, such as `#status`. Reserved words need one.
    #[must_use]
    pub fn name(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    /// Sets and removes the attributes below `path` that differ between two versions of a stored map.
    /// Attributes that neither version has, because a newer version of the code wrote them, stay.
    #[must_use]
    pub fn replace(self, path: &str, before: &impl Serialize, after: &impl Serialize) -> Self {
        self.with_items(to_item(before), to_item(after), |expression, before, after| {
            expression.replace_in(&[path], &before, &after)
        })
    }

    /// Sets all attributes of a value.
    #[must_use]
    pub fn set_all(self, value: &impl Serialize) -> Self {
        self.with_items(Ok(Item::new()), to_item(value), |expression, before, after| {
            expression.replace_in(&[], &before, &after)
        })
    }

    fn with_items(
        mut self,
        before: Result<Item, Error>,
        after: Result<Item, Error>,
        write: impl FnOnce(Self, Item, Item) -> Self,
    ) -> Self {
        match before.and_then(|before| Ok((before, after?))) {
            Ok((before, after)) => write(self, before, after),
            Err(error) => {
                self.error = Some(error);
                self
            }
        }
    }

    fn replace_in(mut self, path: &[&str], before: &Item, after: &Item) -> Self {
        for (name, value) in after {
            let path = [path, &[name.as_str()]].concat();
            match (before.get(name), value) {
                (Some(same), _) if same == value => {}
                (Some(AttributeValue::M(before)), AttributeValue::M(after)) => {
                    self = self.replace_in(&path, before, after);
                }
                _ => {
                    let placeholder = format!(":r{}", self.values.len());
                    let assignment = format!("{} = {placeholder}", self.path(&path));
                    self.values.insert(placeholder, value.clone());
                    self.sets.push(assignment);
                }
            }
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            let path = self.path(&[path, &[name.as_str()]].concat());
            self.removes.push(path);
        }
        self
    }

    /// A document path, with placeholders for its names because they may be reserved words.
    fn path(&mut self, path: &[&str]) -> String {
        let placeholders: Vec<String> = path.iter().map(|name| self.placeholder(name)).collect();
        placeholders.join(".")
    }

    /// The placeholder of an attribute name.
    pub fn placeholder(&mut self, name: &str) -> String {
        let known = self.names.iter().find(|(_, known)| *known == name);
        if let Some((placeholder, _)) = known {
            return placeholder.clone();
        }
        let placeholder = format!("#r{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// The update expression: the assignments, then the paths to remove.
    fn clauses(&self) -> String {
        let clause = |keyword: &str, parts: &[String]| {
            (!parts.is_empty()).then(|| format!("{keyword} {}", parts.join(", ")))
        };
        let clauses = [clause("SET", &self.sets), clause("REMOVE", &self.removes)];
        clauses.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn checked(self) -> Result<Parts, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let clauses = self.clauses();
        Ok(Parts {
            clauses,
            key: self.key,
            condition: (!self.conditions.is_empty()).then(|| self.conditions.join(" AND ")),
            names: (!self.names.is_empty()).then(|| self.names.into_iter().collect()),
            values: (!self.values.is_empty()).then_some(self.values),
        })
    }

    /// The update as a leg of a transaction.
    ///
    /// # Errors
    /// [`Error::Internal`] for a value that DynamoDB does not have.
    pub fn update(self, table: &str) -> Result<Update, Error> {
        let parts = self.checked()?;
        Update::builder()
            .table_name(table)
            .set_key(Some(parts.key))
            .update_expression(parts.clauses)
            .set_condition_expression(parts.condition)
            .set_expression_attribute_names(parts.names)
            .set_expression_attribute_values(parts.values)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)
    }

    /// The delete as a leg of a transaction; only the conditions apply.
    ///
    /// # Errors
    /// [`Error::Internal`] for a value that DynamoDB does not have.
    pub fn delete(self, table: &str) -> Result<Delete, Error> {
        let parts = self.checked()?;
        Delete::builder()
            .table_name(table)
            .set_key(Some(parts.key))
            .set_condition_expression(parts.condition)
            .set_expression_attribute_names(parts.names)
            .set_expression_attribute_values(parts.values)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)
    }

    /// The conditions as a leg of a transaction.
    ///
    /// # Errors
    /// [`Error::Internal`] for a value that DynamoDB does not have.
    pub fn check(self, table: &str) -> Result<ConditionCheck, Error> {
        let parts = self.checked()?;
        ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(parts.key))
            .set_condition_expression(parts.condition)
            .set_expression_attribute_names(parts.names)
            .set_expression_attribute_values(parts.values)
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)
    }

    /// The update as a request of its own, which answers the item after it.
    ///
    /// # Errors
    /// [`Error::Internal`] for a value that DynamoDB does not have.
    pub fn request(
        self,
        request: UpdateItemFluentBuilder,
    ) -> Result<UpdateItemFluentBuilder, Error> {
        let parts = self.checked()?;
        Ok(request
            .set_key(Some(parts.key))
            .update_expression(parts.clauses)
            .set_condition_expression(parts.condition)
            .set_expression_attribute_names(parts.names)
            .set_expression_attribute_values(parts.values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld))
    }
}

/// The parts of a request. Lists that DynamoDB does not accept empty are `None`.
struct Parts {
    key: Item,
    clauses: String,
    condition: Option<String>,
    names: Option<std::collections::HashMap<String, String>>,
    values: Option<Item>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::store::keys;

    #[test]
    fn clauses_do_not_depend_on_the_order_of_calls() {
        let key = || keys::pool(&"t_1".parse().unwrap());
        let one = Expression::on(key()).set("a = :a").remove("b").when("c > :a").when("d");
        let other = Expression::on(key()).remove("b").when("c > :a").set("a = :a").when("d");
        for expression in [one, other] {
            let update = expression.value(":a", 1).update("credits").unwrap();
            assert_eq!(update.update_expression(), "SET a = :a REMOVE b");
            assert_eq!(update.condition_expression(), Some("c > :a AND d"));
        }
    }

    #[test]
    fn replace_writes_only_what_differs() {
        let map = |pairs: &[(&str, u32)]| -> HashMap<String, u32> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let (before, after) = (map(&[("same", 1), ("old", 2)]), map(&[("same", 1), ("new", 3)]));
        let update = Expression::on(keys::pool(&"t_1".parse().unwrap()))
            .replace("terms", &before, &after)
            .update("credits")
            .unwrap();
        assert_eq!(update.update_expression(), "SET #r0.#r1 = :r0 REMOVE #r0.#r2");
    }

    #[test]
    fn a_delete_without_values_has_no_empty_maps() {
        let delete = Expression::on(keys::pool(&"t_1".parse().unwrap())).delete("credits").unwrap();
        assert_eq!(delete.expression_attribute_values(), None);
        assert_eq!(delete.condition_expression(), None);
    }
}
