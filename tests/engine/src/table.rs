//! The table's schema, read from the template that also deploys it.

use dynoxide::Database;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::errors::DynoxideError;
use serde_json::{Map, Value, json};

use crate::{Failure, TABLE};

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// What the template and `CreateTable` call by the same names.
const COMMON: [&str; 4] =
    ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"];

/// Creates the template's table unless it is there.
pub(crate) fn create(database: &Database) -> Result<(), Failure> {
    match database.create_table(schema()?) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(()),
        Err(error) => Err(Failure::Database(error.to_string())),
    }
}

fn schema() -> Result<CreateTableRequest, Failure> {
    let invalid = |error: &dyn std::error::Error| Failure::Template(error.to_string());
    let template: serde_norway::Value =
        serde_norway::from_str(TEMPLATE).map_err(|error| invalid(&error))?;
    let table = ["Resources", "Table", "Properties"]
        .iter()
        .try_fold(&template, |value, name| value.get(name));
    let table = table.ok_or_else(|| Failure::Template("there is no Resources.Table".to_owned()))?;
    let table = serde_json::to_value(table).map_err(|error| invalid(&error))?;
    let mut create: Map<String, Value> =
        COMMON.iter().map(|name| ((*name).to_owned(), table[name].clone())).collect();
    create.insert("TableName".to_owned(), json!(TABLE));
    let view = &table["StreamSpecification"]["StreamViewType"];
    create.insert(
        "StreamSpecification".to_owned(),
        json!({ "StreamEnabled": true, "StreamViewType": view }),
    );
    serde_json::from_value(create.into()).map_err(|error| invalid(&error))
}
