//! The table's schema, read from the template that also deploys it.

use std::collections::BTreeMap;

use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::errors::DynoxideError;
use serde_json::{Map, Value, json};

use crate::{Failure, TABLE};

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// The properties with the same names in the template and in `CreateTable`.
const COMMON: [&str; 4] =
    ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];

/// Whether the table has its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    On,
    Off,
}

/// Creates the template's table unless it exists. Returns whether it was created.
pub(crate) fn create(database: &Database, stream: Stream) -> Result<bool, Failure> {
    let request: CreateTableRequest = serde_json::from_value(schema(stream)?)
        .map_err(|error| Failure::Template(error.to_string()))?;
    match database.create_table(request) {
        Ok(_) => Ok(true),
        Err(DynoxideError::ResourceInUseException(_)) => Ok(false),
        Err(error) => Err(Failure::Database(error.to_string())),
    }
}

/// Whether the database's table has the keys and the indexes of the template.
pub(crate) fn is_as_described(database: &Database) -> Result<bool, Failure> {
    let invalid = |error: &dyn std::error::Error| Failure::Database(error.to_string());
    let table: DescribeTableRequest =
        serde_json::from_value(json!({ "TableName": TABLE })).map_err(|error| invalid(&error))?;
    let there = database.describe_table(table).map_err(|error| invalid(&error))?.table;
    let there = serde_json::to_value(there).map_err(|error| invalid(&error))?;
    Ok(keys(&there) == keys(&schema(Stream::On)?))
}

/// The keys of a table, and of each index by its name.
fn keys(table: &Value) -> BTreeMap<&str, &Value> {
    let mut keys = BTreeMap::from([("", &table["KeySchema"])]);
    for index in table["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        keys.insert(index["IndexName"].as_str().unwrap_or_default(), &index["KeySchema"]);
    }
    keys
}

/// Reads `template.yaml`. The tags of `CloudFormation` become maps.
///
/// # Errors
/// [`Failure::Template`].
pub fn template() -> Result<Value, Failure> {
    let invalid = |error: &dyn std::error::Error| Failure::Template(error.to_string());
    let template: serde_norway::Value =
        serde_norway::from_str(TEMPLATE).map_err(|error| invalid(&error))?;
    serde_json::to_value(template).map_err(|error| invalid(&error))
}

/// The request that creates the table.
fn schema(stream: Stream) -> Result<Value, Failure> {
    let template = template()?;
    let missing = |what: &str| Failure::Template(format!("there is no {what} of the table"));
    let table = template.pointer("/Resources/Table/Properties").ok_or_else(|| missing("schema"))?;
    let mut create = Map::from_iter([("TableName".to_owned(), json!(TABLE))]);
    for name in COMMON {
        let property = table.get(name).ok_or_else(|| missing(name))?;
        create.insert(name.to_owned(), property.clone());
    }
    let indexes = create.get_mut("GlobalSecondaryIndexes").and_then(Value::as_array_mut);
    for index in indexes.into_iter().flatten().filter_map(Value::as_object_mut) {
        // Both are parameters of a deployed table. The engine does not limit throughput.
        index.retain(|name, _| !name.ends_with("Throughput"));
    }
    let view = table.pointer("/StreamSpecification/StreamViewType");
    let view = view.ok_or_else(|| missing("StreamViewType"))?;
    if stream == Stream::On {
        let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
        create.insert("StreamSpecification".to_owned(), stream);
    }
    Ok(create.into())
}
