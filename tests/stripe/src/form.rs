//! The parameters of a request.

use std::collections::BTreeMap;

use crate::refusal::Refusal;

/// The largest number of metadata keys of an object.
const METADATA_KEYS_MAX: usize = 50;

/// The longest metadata key.
const METADATA_KEY_CHARS_MAX: usize = 40;

/// The longest metadata value.
const METADATA_VALUE_CHARS_MAX: usize = 500;

/// The decoded parameters, in the order in which they were sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'a>(pub(crate) &'a [(String, String)]);

impl<'a> Form<'a> {
    /// The value of a parameter; of a repeated one the last.
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn required(self, name: &str) -> Result<&'a str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }

    pub(crate) fn integer(self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let refusal = |_| {
            Refusal::invalid(format!("Invalid integer: {value}"))
                .with_code("parameter_invalid_integer")
                .with_param(name)
        };
        value.parse().map(Some).map_err(refusal)
    }

    pub(crate) fn required_integer(self, name: &str) -> Result<u64, Refusal> {
        self.integer(name)?.ok_or_else(|| Refusal::missing(name))
    }

    pub(crate) fn flag(self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => {
                Err(Refusal::invalid(format!("Invalid boolean: {other}")).with_param(name))
            }
        }
    }

    /// A parameter with a value of a list.
    pub(crate) fn one_of(self, name: &str, values: &[&str]) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            Some(value) if !values.contains(&value) => {
                let message = format!("Invalid {name}: must be one of {}", values.join(", "));
                Err(Refusal::invalid(message).with_param(name))
            }
            value => Ok(value.map(str::to_owned)),
        }
    }

    /// A currency code, in lower case.
    pub(crate) fn currency(self, name: &str) -> Result<String, Refusal> {
        let value = self.required(name)?.to_ascii_lowercase();
        if value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Ok(value);
        }
        Err(Refusal::invalid(format!("Invalid currency: {value}.")).with_param(name))
    }

    pub(crate) fn url(self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
                Err(Refusal::invalid("Not a valid URL").with_code("url_invalid").with_param(name))
            }
            url => Ok(url.map(str::to_owned)),
        }
    }

    /// The values of a list, such as `expand[]` or `expand[0]`.
    pub(crate) fn list(self, name: &str) -> Vec<&'a str> {
        let of_list = |field: &str| {
            let index = field.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            index.bytes().all(|byte| byte.is_ascii_digit()).then_some(())
        };
        let values = self.0.iter().filter(|(field, _)| of_list(field).is_some());
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// The pairs of `name`, such as `metadata[team]`. An empty value removes a key.
    pub(crate) fn metadata(self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let mut pairs = BTreeMap::new();
        for (field, value) in self.0 {
            let key = field.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            let Some(key) = key.and_then(|rest| rest.strip_suffix(']')) else { continue };
            for (text, what, max) in [
                (key, "keys", METADATA_KEY_CHARS_MAX),
                (value.as_str(), "values", METADATA_VALUE_CHARS_MAX),
            ] {
                let length = text.chars().count();
                if length > max {
                    let message = format!(
                        "Metadata {what} can have up to {max} characters, but you passed one of {length} characters."
                    );
                    return Err(Refusal::invalid(message).with_param(name));
                }
            }
            if value.is_empty() {
                pairs.remove(key);
            } else {
                pairs.insert(key.to_owned(), value.clone());
            }
        }
        if pairs.len() > METADATA_KEYS_MAX {
            let message = format!("Metadata can have up to {METADATA_KEYS_MAX} keys.");
            return Err(Refusal::invalid(message).with_param(name));
        }
        Ok(pairs)
    }

    /// Refuses parameters other than `names` and parts of them, and empty values.
    pub(crate) fn check(self, names: &[&str]) -> Result<(), Refusal> {
        for (field, value) in self.0 {
            let plain = without_indexes(field);
            let is_known = names.iter().any(|name| {
                let rest = plain.strip_prefix(name);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
            });
            if !is_known {
                return Err(Refusal::invalid(format!("Received unknown parameter: {field}"))
                    .with_code("parameter_unknown")
                    .with_param(field));
            }
            if value.is_empty() && !field.contains("metadata[") {
                let message = format!(
                    "You passed an empty string for '{field}'. We assume empty values are an attempt to unset a \
                     parameter; however '{field}' cannot be unset."
                );
                return Err(Refusal::invalid(message)
                    .with_code("parameter_invalid_empty")
                    .with_param(field));
            }
        }
        Ok(())
    }

    /// Whether `expand[]` names `property`. `properties` are all that can be expanded.
    pub(crate) fn expands(self, property: &str, properties: &[&str]) -> Result<bool, Refusal> {
        let expanded = self.list("expand");
        match expanded.iter().find(|name| !properties.contains(name)) {
            Some(name) => {
                let message = format!("This property cannot be expanded ({name}).");
                Err(Refusal::invalid(message).with_param("expand"))
            }
            None => Ok(expanded.contains(&property)),
        }
    }
}

/// Replaces `[0]` by `[]`.
fn without_indexes(field: &str) -> String {
    let mut parts = field.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('[');
        let is_index =
            part.strip_suffix(']').is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit()));
        plain.push_str(if is_index { "]" } else { part });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fields;

    fn code(refusal: &Refusal) -> String {
        refusal.body()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    #[test]
    fn unknown_and_empty_parameters_are_refused() {
        let names = ["amount", "metadata", "line_items[][quantity]", "expand"];
        let check = |pairs: &[(&str, &str)]| Form(&fields(pairs)).check(&names);
        let known = [("amount", "1"), ("metadata[a]", ""), ("line_items[3][quantity]", "1")];
        assert_eq!(check(&known), Ok(()));
        assert_eq!(check(&[("expand[]", "x"), ("expand[0]", "y")]), Ok(()));
        for unknown in ["amounts", "line_items[0][price]", "metadat[a]"] {
            assert_eq!(code(&check(&[(unknown, "1")]).unwrap_err()), "parameter_unknown");
        }
        assert_eq!(code(&check(&[("amount", "")]).unwrap_err()), "parameter_invalid_empty");
    }

    #[test]
    fn values_are_parsed() {
        let fields = fields(&[
            ("n", "7"),
            ("bad", "7.5"),
            ("on", "true"),
            ("currency", "USD"),
            ("metadata[a]", "1"),
            ("metadata[b]", ""),
            ("expand[]", "x"),
            ("expand[1]", "y"),
            ("url", "ftp://a"),
        ]);
        let form = Form(&fields);
        assert_eq!(form.integer("n"), Ok(Some(7)));
        assert_eq!(code(&form.integer("bad").unwrap_err()), "parameter_invalid_integer");
        assert_eq!(code(&form.required("none").unwrap_err()), "parameter_missing");
        assert_eq!((form.flag("on"), form.flag("none")), (Ok(true), Ok(false)));
        assert!(form.flag("n").is_err());
        assert_eq!(form.currency("currency").unwrap(), "usd");
        assert!(form.currency("on").is_err());
        assert_eq!(form.metadata("metadata").unwrap(), [("a".into(), "1".into())].into());
        assert_eq!(form.list("expand"), ["x", "y"]);
        assert_eq!(code(&form.url("url").unwrap_err()), "url_invalid");
        assert!(form.one_of("n", &["8"]).is_err());
        assert_eq!(form.expands("y", &["x", "y"]), Ok(true));
        assert!(form.expands("y", &["y"]).is_err());
    }

    #[test]
    fn metadata_has_limits() {
        let refused = |key: String, value: String| {
            Form(&[(format!("metadata[{key}]"), value)]).metadata("metadata").is_err()
        };
        assert!(!refused("k".repeat(40), "v".repeat(500)));
        assert!(refused("k".repeat(41), "v".into()));
        assert!(refused("k".into(), "v".repeat(501)));
        let many: Vec<_> = (0..51).map(|n| (format!("metadata[{n}]"), "v".into())).collect();
        assert!(Form(&many).metadata("metadata").is_err());
        assert!(Form(&many[1..]).metadata("metadata").is_ok());
    }
}
