//! The engine and the simulator accept a request at each limit of DynamoDB and reject the next one.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at an unexpected result"
)]

use std::error::Error;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem, Update};
use engine::{Engine, TABLE};
use shared::aws::failure::failure;
use shared::domain;
use simulator::Faults;

/// The error of a rejected request, `None` of an accepted one.
type Rejection = Option<String>;

/// The size of an item with an empty `filler`.
const EMPTY_ITEM: usize = "pk00sk00filler".len();

const MB: usize = 1_024 * 1_024;

/// Sends requests to the engine and to the simulator.
fn on_both(requests: impl AsyncFn(&Client)) {
    on_engine(&requests);
    let requests = async move |world: simulator::World| requests(&world.client()).await;
    simulator::run(0, Faults::NONE, "2027-01-10T00:00:00Z".parse().unwrap(), requests).unwrap();
}

fn on_engine(requests: &impl AsyncFn(&Client)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = Engine::in_memory().await.unwrap();
        requests(&engine.client()).await;
    });
}

/// Asserts that a request at the limit is accepted and one beyond it is rejected with `message`.
async fn is_limit(limit: usize, message: &str, request: impl AsyncFn(usize) -> Rejection) {
    assert_eq!(request(limit).await, None, "{message}");
    assert_rejected(request(limit + 1).await, message);
}

fn assert_rejected(rejection: Rejection, message: &str) {
    let rejection = rejection.unwrap_or_else(|| panic!("accepted: {message}"));
    assert!(rejection.contains(message), "{rejection} for {message}");
}

fn rejection<T, E>(result: Result<T, SdkError<E>>) -> Rejection
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let error = result.err()?;
    let message = format!("{error:?}");
    if error.code() != Some("TransactionCanceledException") {
        let answer = error.raw_response().unwrap();
        let body = str::from_utf8(answer.body().bytes().unwrap()).unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{message}");
        assert!(body.contains("com.amazon.coral.validate#ValidationException"), "{message}");
        assert!(matches!(failure(error), domain::Error::Internal(_)), "{message}");
    }
    Some(message)
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: impl Into<String>) -> AttributeValue {
    AttributeValue::N(number.into())
}

fn filler(size: usize) -> AttributeValue {
    text("x".repeat(size))
}

fn padded(expression: &str, size: usize) -> String {
    format!("{expression:size$}")
}

fn key(of: usize) -> AttributeValue {
    text(format!("{of:02}"))
}

fn update(client: &Client) -> UpdateItemFluentBuilder {
    client.update_item().table_name(TABLE).key("pk", key(0)).key("sk", key(0))
}

fn query(client: &Client) -> QueryFluentBuilder {
    client.query().table_name(TABLE).expression_attribute_values(":k", key(0))
}

/// Puts an item of `size` bytes.
fn put(of: usize, size: usize) -> TransactWriteItem {
    let put = Put::builder().table_name(TABLE).item("pk", key(of)).item("sk", key(of));
    let put = put.item("filler", filler(size - EMPTY_ITEM)).build().unwrap();
    TransactWriteItem::builder().put(put).build()
}

fn update_leg(of: usize) -> UpdateBuilder {
    let update = Update::builder().table_name(TABLE).key("pk", key(of)).key("sk", key(of));
    update.update_expression("SET a = :v").expression_attribute_values(":v", number("1"))
}

fn update_of(update: UpdateBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().update(update.build().unwrap()).build()
}

async fn transact(client: &Client, legs: Vec<TransactWriteItem>) -> Rejection {
    rejection(client.transact_write_items().set_transact_items(Some(legs)).send().await)
}

#[test]
fn an_expression_has_4_kb() {
    const LIMIT: usize = 4_096;
    const MESSAGE: &str = "Expression size has exceeded the maximum allowed size";
    on_both(async |client| {
        is_limit(LIMIT, MESSAGE, async |size| {
            let update = update(client).update_expression(padded("SET a = :v", size));
            rejection(update.expression_attribute_values(":v", number("1")).send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let update = update(client).condition_expression(padded("attribute_exists(pk)", size));
            let update = update.update_expression("REMOVE b");
            rejection(update.send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let query = query(client).key_condition_expression(padded("pk = :k", size));
            rejection(query.send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let query = query(client).key_condition_expression("pk = :k");
            rejection(query.filter_expression(padded("a = :k", size)).send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let query = query(client).key_condition_expression("pk = :k");
            rejection(query.projection_expression(padded("a", size)).send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let get = client.get_item().table_name(TABLE).key("pk", key(0)).key("sk", key(0));
            rejection(get.projection_expression(padded("a", size)).send().await)
        })
        .await;
    });
}

#[test]
fn an_expression_in_a_transaction_has_4_kb() {
    const LIMIT: usize = 4_096;
    const MESSAGE: &str = "Expression size has exceeded the maximum allowed size";
    on_both(async |client| {
        is_limit(LIMIT, MESSAGE, async |size| {
            let update = update_leg(0).update_expression(padded("SET a = :v", size));
            transact(client, vec![update_of(update)]).await
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let condition = padded("attribute_exists(pk)", size);
            let update = update_leg(0).condition_expression(condition);
            transact(client, vec![update_of(update)]).await
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let check = ConditionCheck::builder().table_name(TABLE).key("pk", key(0));
            let check = check.key("sk", key(0));
            let check = check.condition_expression(padded("attribute_exists(pk)", size));
            let leg = TransactWriteItem::builder().condition_check(check.build().unwrap());
            transact(client, vec![leg.build()]).await
        })
        .await;
    });
}

#[test]
fn an_expression_has_300_operators() {
    const LIMIT: usize = 300;
    const MESSAGE: &str = "The expression contains too many operators; operator count: 301";
    let sums = |operators| {
        let sums: Vec<_> = (0..operators).map(|n| format!("a{n}=:v+:v")).collect();
        format!("SET {}", sums.join(","))
    };
    on_both(async |client| {
        is_limit(LIMIT, MESSAGE, async |operators| {
            let update = update(client).update_expression(sums(operators));
            rejection(update.expression_attribute_values(":v", number("1")).send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |operators| {
            let update = update_leg(0).update_expression(sums(operators));
            transact(client, vec![update_of(update)]).await
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |operators| {
            let filter = format!("{}attribute_exists(a)", "NOT ".repeat(operators - 1));
            let query = query(client).key_condition_expression("pk = :k");
            rejection(query.filter_expression(filter).send().await)
        })
        .await;
    });
}

#[test]
fn an_alias_has_255_bytes() {
    const LIMIT: usize = 255;
    const MESSAGE: &str = "The expression attribute map contains a key that is too long";
    on_both(async |client| {
        is_limit(LIMIT, MESSAGE, async |size| {
            let alias = format!("{:a<size$}", "#");
            let update = update(client).update_expression(format!("REMOVE {alias}"));
            rejection(update.expression_attribute_names(alias, "b").send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            let alias = format!("{:a<size$}", ":");
            let update = update(client).update_expression(format!("SET a = {alias}"));
            rejection(update.expression_attribute_values(alias, number("1")).send().await)
        })
        .await;
    });
}

#[test]
fn the_aliases_of_a_request_have_2_mb() {
    const MESSAGE: &str =
        "Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size";
    on_both(async |client| {
        is_limit(2 * MB, MESSAGE, async |size| {
            let query = query(client).key_condition_expression("#k = :k");
            let query = query.expression_attribute_names("#k", "pk").filter_expression("a = :v");
            let rest = size - "#kpk:k00:v".len();
            rejection(query.expression_attribute_values(":v", filler(rest)).send().await)
        })
        .await;
    });
}

#[test]
fn an_item_has_400_kb() {
    const MESSAGE: &str = "Item size has exceeded the maximum allowed size";
    on_both(async |client| {
        let request = async |size| transact(client, vec![put(0, size)]).await;
        is_limit(400 * 1_024, MESSAGE, request).await;
    });
    on_engine(&async |client: &Client| {
        is_limit(400 * 1_024, MESSAGE, async |size| {
            let put = client.put_item().table_name(TABLE).item("pk", key(0)).item("sk", key(0));
            rejection(put.item("filler", filler(size - EMPTY_ITEM)).send().await)
        })
        .await;
    });
}

#[test]
fn an_updated_item_has_400_kb() {
    const MESSAGE: &str = "Item size to update has exceeded the maximum allowed size";
    const LIMIT: usize = 400 * 1_024;
    const BEFORE: usize = 300 * 1_024;
    const EXPRESSION: &str = "SET more = :v";
    on_both(async |client| {
        let more = |size: usize| filler(size - BEFORE - "more".len());
        assert_eq!(transact(client, vec![put(0, BEFORE)]).await, None);
        is_limit(LIMIT, MESSAGE, async |size| {
            let update = update(client).update_expression(EXPRESSION);
            rejection(update.expression_attribute_values(":v", more(size)).send().await)
        })
        .await;
        is_limit(LIMIT, MESSAGE, async |size| {
            // The throughput of a partition allows this once per second.
            let of = 1 + size - LIMIT;
            assert_eq!(transact(client, vec![put(of, BEFORE)]).await, None);
            let update = update_leg(of).update_expression(EXPRESSION);
            transact(client, vec![update_of(update.expression_attribute_values(":v", more(size)))])
                .await
        })
        .await;
    });
}

#[test]
fn a_transaction_has_100_legs() {
    const MESSAGE: &str = "Member must have length less than or equal to 100";
    on_both(async |client| {
        let request = async |legs| transact(client, (0..legs).map(|n| put(n, 99)).collect()).await;
        is_limit(100, MESSAGE, request).await;
    });
}

#[test]
fn a_transaction_has_4_mb() {
    const MESSAGE: &str = "the aggregate size of the items in the transaction exceeding the 4MB";
    const LEG: usize = MB / 4;
    on_both(async |client| {
        is_limit(4 * MB, MESSAGE, async |size| {
            let last = put(15, size - 15 * LEG);
            transact(client, (0..15).map(|n| put(n, LEG)).chain([last]).collect()).await
        })
        .await;
    });
}

#[test]
fn a_transaction_has_one_leg_for_an_item() {
    const MESSAGE: &str = "Transaction request cannot include multiple operations on one item";
    on_both(async |client| {
        let legs = |second| vec![put(0, 99), update_of(update_leg(second))];
        assert_eq!(transact(client, legs(1)).await, None);
        assert_rejected(transact(client, legs(0)).await, MESSAGE);
    });
}

#[test]
fn an_update_has_paths_that_do_not_overlap() {
    const MESSAGE: &str = "Two document paths overlap with each other";
    on_both(async |client| {
        for overlapping in ["SET a.b = :v, a = :v", "SET a = :v REMOVE a"] {
            let update = update(client).update_expression(overlapping);
            let update = update.expression_attribute_values(":v", number("1"));
            assert_rejected(rejection(update.send().await), MESSAGE);
            let leg = update_of(update_leg(0).update_expression(overlapping));
            assert_rejected(transact(client, vec![leg]).await, MESSAGE);
        }
    });
}

#[test]
fn every_alias_is_used() {
    const MESSAGE: &str = "unused in expressions";
    on_both(async |client| {
        let unused = update(client).update_expression("REMOVE a");
        let name = unused.clone().expression_attribute_names("#a", "a");
        assert_rejected(rejection(name.send().await), MESSAGE);
        let value = unused.expression_attribute_values(":v", number("1"));
        assert_rejected(rejection(value.send().await), MESSAGE);
        let query = query(client).key_condition_expression("pk = :k");
        let value = query.expression_attribute_values(":v", number("1"));
        assert_rejected(rejection(value.send().await), MESSAGE);
        let name = update_leg(0).expression_attribute_names("#a", "a");
        assert_rejected(transact(client, vec![update_of(name)]).await, MESSAGE);
        let value = update_leg(0).update_expression("REMOVE a");
        assert_rejected(transact(client, vec![update_of(value)]).await, MESSAGE);
    });
}

#[test]
fn a_number_has_38_digits() {
    const MESSAGE: &str = "more than 38 significant digits";
    on_both(async |client| {
        is_limit(38, MESSAGE, async |digits| {
            let update = update(client).update_expression("SET a = :v");
            let value = number("9".repeat(digits));
            rejection(update.expression_attribute_values(":v", value).send().await)
        })
        .await;
        is_limit(38, MESSAGE, async |digits| {
            let update =
                update_leg(0).expression_attribute_values(":v", number("9".repeat(digits)));
            transact(client, vec![update_of(update)]).await
        })
        .await;
        is_limit(38, MESSAGE, async |digits| {
            let put = Put::builder().table_name(TABLE).item("pk", key(0)).item("sk", key(0));
            let put = put.item("a", number("9".repeat(digits))).build().unwrap();
            transact(client, vec![TransactWriteItem::builder().put(put).build()]).await
        })
        .await;
    });
}

#[test]
fn a_sum_has_38_digits() {
    const MESSAGE: &str = "more than 38 significant digits";
    on_both(async |client| {
        is_limit(38, MESSAGE, async |digits| {
            let sum = update(client).update_expression("SET a = :v + :w");
            let sum = sum.expression_attribute_values(":v", number(format!("1E{}", digits - 1)));
            rejection(sum.expression_attribute_values(":w", number("1")).send().await)
        })
        .await;
    });
}
