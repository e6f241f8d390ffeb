//! Writes of ledger entries that are denied. The functions' IAM policies deny updates and deletes;
//! IAM cannot check whether a put is conditional.

use serde_json::Value;

/// Returns the reason if a write is denied. An entry is put once, on condition that it does not
/// exist, and never changed.
#[must_use]
pub fn denial(operation: &str, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match body.get("TransactItems").and_then(Value::as_array) {
        Some(legs) => legs.iter().filter_map(Value::as_object).flatten().find_map(denial_of),
        None => denial_of((operation, &body)),
    }
}

fn denial_of<S: AsRef<str>>((kind, write): (S, &Value)) -> Option<String> {
    let is_entry = |attribute: &str| {
        let partition = write.pointer(&format!("/{attribute}/pk/S")).and_then(Value::as_str);
        partition.is_some_and(|partition| partition.starts_with("ENTRY#"))
    };
    let condition = write.get("ConditionExpression").and_then(Value::as_str);
    let is_denied = match kind.as_ref() {
        "Put" | "PutItem" => is_entry("Item") && condition != Some("attribute_not_exists(pk)"),
        "Update" | "UpdateItem" | "Delete" | "DeleteItem" => is_entry("Key"),
        _ => false,
    };
    is_denied.then(|| format!("{} of a ledger entry: {write}", kind.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_put_once_and_never_changed() {
        let entry = json!({ "pk": { "S": "ENTRY#t#e_1" }, "sk": { "S": "ENTRY" } });
        let pool = json!({ "pk": { "S": "TEAM#t" }, "sk": { "S": "POOL" } });
        let new = "attribute_not_exists(pk)";
        for (operation, write, is_denied) in [
            ("PutItem", json!({ "Item": entry, "ConditionExpression": new }), false),
            ("PutItem", json!({ "Item": entry }), true),
            (
                "PutItem",
                json!({ "Item": entry, "ConditionExpression": "attribute_exists(pk)" }),
                true,
            ),
            ("UpdateItem", json!({ "Key": entry, "ConditionExpression": new }), true),
            ("DeleteItem", json!({ "Key": entry }), true),
            ("GetItem", json!({ "Key": entry }), false),
            ("PutItem", json!({ "Item": pool }), false),
            ("UpdateItem", json!({ "Key": pool }), false),
        ] {
            let alone = denial(operation, write.to_string().as_bytes());
            assert_eq!(alone.is_some(), is_denied, "{operation} {write}");
            let kind = operation.trim_end_matches("Item");
            let whole =
                json!({ "TransactItems": [{ "Update": { "Key": pool } }, { kind: write }] });
            let in_transaction = denial("TransactWriteItems", whole.to_string().as_bytes());
            assert_eq!(in_transaction.is_some(), is_denied, "{whole}");
        }
    }
}
