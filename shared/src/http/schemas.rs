//! The schemas of values whose JSON a derived schema does not describe.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::Credits;
use crate::domain::ids::{AccountId, Id, Key, ProviderId, Reference, TeamId, UserId};
use crate::domain::ledger::entry::Kind;
use crate::domain::money::Currency;
use crate::domain::time::Time;

/// Implements the schema of a type under a name.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                $schema.build().into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    };
}

fn text(length_max: usize, pattern: &str, description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(length_max))
        .pattern(Some(pattern))
        .description(Some(description))
}

/// Letters, digits or `. _ : @ -`, but not `.` or `..`.
const PATH_SAFE: &str = r"^(?!\.{1,2}$)[A-Za-z0-9._:@-]+$";

/// Characters that are not control characters.
const PRINTABLE: &str = r"^[^\u0000-\u001F\u007F-\u009F]+$";

schema!(TeamId, "TeamId", text(64, PATH_SAFE, "The id of a team."));
schema!(AccountId, "AccountId", text(64, PATH_SAFE, "The product's id of a monitored account."));
schema!(
    UserId,
    "UserId",
    text(255, "^[ -~]+$", "The id of a user or of a machine client: the `sub` of its token.")
);
schema!(Key, "Key", text(255, PRINTABLE, "A caller's idempotency key."));
schema!(
    Reference,
    "Reference",
    text(255, PRINTABLE, "The caller's name for its own record, such as a lead.")
);
schema!(Id, "Id", text(64, "^[A-Za-z0-9_-]+$", "The id of an entry, a hold or a purchase."));
schema!(
    ProviderId,
    "ProviderId",
    text(255, "^[A-Za-z0-9_-]+$", "The payment provider's id of an object.")
);
schema!(
    Credits,
    "Credits",
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .maximum(Some(Credits::MAX.get()))
        .description(Some("An amount of credits."))
);
schema!(
    Time,
    "Time",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("A time (RFC 3339). Answers have UTC with milliseconds."))
);
schema!(
    Currency,
    "Currency",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[a-z]{3}$"))
        .description(Some("The code of a currency (ISO 4217) in lowercase."))
);
schema!(
    Kind,
    "EntryKind",
    ObjectBuilder::new().schema_type(Type::String).description(Some(
        "The kind of an entry: `charge`, `capture`, `hold`, `release`, `purchase`, `gift`, `grant`, \
         `expiry` or `dispute`. Clients tolerate unknown kinds."
    ))
);
