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

/// Whether the table has its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    On,
    Off,
}

/// Creates the template's table unless it is there.
pub(crate) fn create(database: &Database, stream: Stream) -> Result<(), Failure> {
    match database.create_table(schema(stream)?) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => Ok(()),
        Err(error) => Err(Failure::Database(error.to_string())),
    }
}

/// `template.yaml`, in which only the tags of `CloudFormation` are no plain YAML.
///
/// # Errors
/// [`Failure::Template`].
pub fn template() -> Result<Value, Failure> {
    let invalid = |error: &dyn std::error::Error| Failure::Template(error.to_string());
    let template: serde_norway::Value =
        serde_norway::from_str(TEMPLATE).map_err(|error| invalid(&error))?;
    serde_json::to_value(template).map_err(|error| invalid(&error))
}

fn schema(stream: Stream) -> Result<CreateTableRequest, Failure> {
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
        // Both are parameters of a deployed table, and the engine has no throughput.
        index.retain(|name, _| !name.ends_with("Throughput"));
    }
    let view = table.pointer("/StreamSpecification/StreamViewType");
    let view = view.ok_or_else(|| missing("StreamViewType"))?;
    if stream == Stream::On {
        let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
        create.insert("StreamSpecification".to_owned(), stream);
    }
    serde_json::from_value(create.into()).map_err(|error| Failure::Template(error.to_string()))
}
