//! Common naive designs of a charge, on the same table and with the same entry.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use engine::TABLE;
use shared::domain::ledger::entry::Entry;
use shared::store::failure::{LegResult, legs};
use shared::store::keys;
use shared::store::retry::RetryBudget;

/// The condition of a ledger entry.
const NEW: &str = "attribute_not_exists(pk)";

struct Seen {
    credits: u64,
    version: u64,
}

async fn read(client: &Client, entry: &Entry) -> Seen {
    let key = keys::pool(&entry.team);
    let read = client.get_item().table_name(TABLE).set_key(Some(key)).consistent_read(true);
    // Only a throttled read fails here. It is repeated, as the SDK does by default.
    let found = loop {
        if let Ok(found) = read.clone().send().await {
            break found;
        }
    };
    let item = found.item.unwrap();
    let number = |name: &str| match item.get(name) {
        Some(AttributeValue::N(number)) => number.parse().unwrap(),
        _ => 0,
    };
    Seen { credits: number("credits"), version: number("version") }
}

fn item(entry: &Entry) -> keys::Item {
    let mut item: keys::Item = serde_dynamo::to_item(entry).unwrap();
    item.extend(keys::entry(entry));
    item.extend(keys::in_history(entry));
    item
}

/// Charges in one transaction. Returns whether the charge was accepted. Exact, but all writers of a
/// team contend for one item.
pub async fn one_transaction(client: &Client, entry: &Entry) -> bool {
    let cost = entry.credits.unsigned_abs();
    let mut budget = RetryBudget::lasting(Duration::from_mins(10));
    loop {
        let pool = Update::builder()
            .table_name(TABLE)
            .set_key(Some(keys::pool(&entry.team)))
            .update_expression("SET credits = credits - :cost")
            .condition_expression("credits >= :cost")
            .expression_attribute_values(":cost", keys::number(cost))
            .build()
            .unwrap();
        let Err(error) = transact(client, pool, entry).await else { return true };
        match legs(error).unwrap_or_default().first() {
            Some(LegResult::Failed(_)) => return false,
            Some(LegResult::Passed | LegResult::Busy) | None => budget.back_off().await.unwrap(),
        }
    }
}

async fn transact(
    client: &Client,
    pool: Update,
    entry: &Entry,
) -> Result<(), SdkError<TransactWriteItemsError>> {
    let put = Put::builder().table_name(TABLE).set_item(Some(item(entry)));
    let put = put.condition_expression(NEW).build().unwrap();
    client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().update(pool).build())
        .transact_items(TransactWriteItem::builder().put(put).build())
        .send()
        .await
        .map(drop)
}

/// Reads, then writes on condition that the version is unchanged. Returns whether the charge was
/// accepted. Exact, but a lost race repeats both steps.
pub async fn versioned(client: &Client, entry: &Entry) -> bool {
    let cost = entry.credits.unsigned_abs();
    loop {
        let seen = read(client, entry).await;
        let Some(left) = seen.credits.checked_sub(cost) else { return false };
        let pool = Update::builder()
            .table_name(TABLE)
            .set_key(Some(keys::pool(&entry.team)))
            .update_expression("SET credits = :left, version = :next")
            .condition_expression("attribute_not_exists(version) OR version = :seen")
            .expression_attribute_values(":left", keys::number(left))
            .expression_attribute_values(":seen", keys::number(seen.version))
            .expression_attribute_values(":next", keys::number(seen.version + 1))
            .build()
            .unwrap();
        if transact(client, pool, entry).await.is_ok() {
            return true;
        }
    }
}

/// Reads, checks and writes. Returns whether the charge was accepted. Not exact: other writes may
/// occur between the read and the write.
pub async fn plain(client: &Client, entry: &Entry) -> bool {
    let seen = read(client, entry).await;
    let Some(left) = seen.credits.checked_sub(entry.credits.unsigned_abs()) else { return false };
    client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(keys::pool(&entry.team)))
        .update_expression("SET credits = :left")
        .expression_attribute_values(":left", keys::number(left))
        .send()
        .await
        .unwrap();
    let put = client.put_item().table_name(TABLE).set_item(Some(item(entry)));
    put.condition_expression(NEW).send().await.unwrap();
    true
}
