//! The kinds of invocation.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// The kind of an invocation, by the top-level fields of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// A request of the HTTP API: the payload has `requestContext`.
    Http,
    /// A batch of SQS messages: the payload has `Records`.
    Queue,
    /// Any other payload: from a caller of Lambda's `Invoke`, or from a rule of EventBridge.
    Direct,
}

impl Invocation {
    /// The kind of the invocation with this payload.
    #[must_use]
    pub fn of(payload: &RawValue) -> Self {
        let fields: HashMap<String, &RawValue> =
            serde_json::from_str(payload.get()).unwrap_or_default();
        if fields.contains_key("requestContext") {
            Self::Http
        } else if fields.contains_key("Records") {
            Self::Queue
        } else {
            Self::Direct
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_level_fields_decide() {
        for (payload, invocation) in [
            (r#"{"requestContext":{},"Records":[]}"#, Invocation::Http),
            (r#"{"requestContext":null}"#, Invocation::Http),
            (r#"{"Records":[]}"#, Invocation::Queue),
            (r#"{"detail-type":"account.closed","detail":{"Records":[]}}"#, Invocation::Direct),
            (r#"{"team":"t","action":"sms"}"#, Invocation::Direct),
            (r#"["Records"]"#, Invocation::Direct),
            ("null", Invocation::Direct),
        ] {
            let payload = RawValue::from_string(payload.to_owned()).unwrap();
            assert_eq!(Invocation::of(&payload), invocation, "{payload}");
        }
    }
}
