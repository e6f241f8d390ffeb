//! The changes between two versions of the document that break clients: a request that was accepted may be
//! refused, or an answer may lack something or have another form.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::resolved;

/// The changes that break clients; none if the major version is raised.
pub fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    if major(new) > major(old) {
        return Vec::new();
    }
    let mut comparison = Comparison { old, new, found: Vec::new() };
    comparison.operations();
    comparison.problems();
    comparison.found
}

fn major(document: &Value) -> u64 {
    let version = document["info"]["version"].as_str().unwrap();
    version.split('.').next().unwrap().parse().unwrap()
}

/// The keywords that do not change the valid values.
const ANNOTATIONS: [&str; 5] = ["deprecated", "description", "example", "examples", "title"];

/// The keywords with alternative schemas. At most one of them is in a schema.
const ALTERNATIVES: [&str; 2] = ["anyOf", "oneOf"];

/// The keywords whose values are compared as a whole.
const FIXED: [&str; 4] = ["const", "default", "format", "pattern"];

/// The keywords with a schema of the items, the fields or their names.
const SUBSCHEMAS: [&str; 3] = ["additionalProperties", "items", "propertyNames"];

const LARGEST: [&str; 5] =
    ["exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"];

const LEAST: [&str; 5] = ["exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"];

/// The further keywords that are compared.
const OTHERS: [&str; 5] = ["enum", "properties", "required", "type", "uniqueItems"];

/// The direction of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
}

impl Comparison<'_> {
    fn report(&mut self, place: &str, change: &str) {
        self.found.push(format!("{place}: {change}"));
    }

    fn operations(&mut self) {
        for (path, operations) in fields(&self.old["paths"]) {
            for (method, old) in fields(operations) {
                let place = format!("{} {path}", method.to_uppercase());
                match self.new["paths"].get(path).and_then(|it| it.get(method)) {
                    Some(new) => self.operation(&place, old, new),
                    None => self.report(&place, "the operation is removed"),
                }
            }
        }
    }

    fn operation(&mut self, place: &str, old: &Value, new: &Value) {
        if old["operationId"] != new["operationId"] {
            self.report(place, "the operation id changes");
        }
        if old.get("security") != new.get("security") {
            self.report(place, "the need of a token changes");
        }
        if !texts(&old["x-callers"]).is_subset(&texts(&new["x-callers"])) {
            self.report(place, "callers are removed");
        }
        self.parameters(place, old, new);
        self.request_body(place, &old["requestBody"], &new["requestBody"]);
        for (status, old) in fields(&old["responses"]) {
            let place = format!("{place} {status}");
            match new["responses"].get(status) {
                Some(new) => self.response(&place, old, new),
                None if status.starts_with(['4', '5']) => {}
                None => self.report(&place, "the status is removed"),
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &Value, new: &Value) {
        let find = |of: &Value, wanted: &Value| {
            let mut all = of["parameters"].as_array().into_iter().flatten();
            all.find(|it| it["in"] == wanted["in"] && it["name"] == wanted["name"]).cloned()
        };
        for parameter in old["parameters"].as_array().into_iter().flatten() {
            let place = format!("{place} {}", text(&parameter["name"]));
            match find(new, parameter) {
                Some(new) => {
                    self.schema(&place, Way::Request, &parameter["schema"], &new["schema"]);
                    let known = ["description", "example", "in", "name", "required", "schema"];
                    self.unknown(&place, &known, parameter, &new);
                }
                None => self.report(&place, "the parameter is removed"),
            }
        }
        for parameter in new["parameters"].as_array().into_iter().flatten() {
            let was_required = find(old, parameter).is_some_and(|old| old["required"] == true);
            if parameter["required"] == true && !was_required {
                let place = format!("{place} {}", text(&parameter["name"]));
                self.report(&place, "the parameter becomes required");
            }
        }
    }

    fn request_body(&mut self, place: &str, old: &Value, new: &Value) {
        let place = format!("{place} request");
        if old["required"] != true && new["required"] == true {
            self.report(&place, "a body becomes required");
        }
        self.content(&place, Way::Request, old, new);
    }

    fn response(&mut self, place: &str, old: &Value, new: &Value) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        for (header, old) in fields(&old["headers"]) {
            match new["headers"].get(header) {
                Some(new) => self.header(&format!("{place} {header}"), old, new),
                None => self.report(place, &format!("the header {header} is removed")),
            }
        }
        // Problems are compared by type: an operation may get further ones.
        if old["content"].get("application/problem+json").is_none() {
            self.content(place, Way::Answer, old, new);
        }
    }

    fn header(&mut self, place: &str, old: &Value, new: &Value) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        if old["required"] == true && new["required"] != true {
            self.report(place, "the header becomes optional");
        }
        self.schema(place, Way::Answer, &old["schema"], &new["schema"]);
        self.unknown(place, &["description", "example", "required", "schema"], old, new);
    }

    fn content(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        for (media, old) in fields(&old["content"]) {
            match new["content"].get(media) {
                Some(new) => {
                    self.schema(place, way, &old["schema"], &new["schema"]);
                    self.unknown(place, &["examples", "schema"], old, new);
                }
                None => self.report(place, &format!("{media} is removed")),
            }
        }
    }

    fn problems(&mut self) {
        for (name, old) in fields(&self.old["components"]["schemas"]) {
            if name.ends_with("Problem") {
                match self.new["components"]["schemas"].get(name) {
                    Some(new) => self.schema(name, Way::Answer, old, new),
                    None => self.report(name, "the problem type is removed"),
                }
            }
        }
    }

    fn schema(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        let (old, new) = (with_reference(self.old, old), with_reference(self.new, new));
        match (alternatives(&old), alternatives(&new)) {
            (None, None) => {}
            (Some(from), Some(to)) => self.alternatives(place, way, from, to),
            (from, to) => {
                let from = from.map_or_else(|| vec![old.clone()], |from| completed(&old, from));
                let to = to.map_or_else(|| vec![new.clone()], |to| completed(&new, to));
                return self.alternatives(place, way, &from, &to);
            }
        }
        let (from, to) = (types(&old), types(&new));
        let is_kept = if way == Way::Request { from.is_subset(&to) } else { from == to };
        if !is_kept {
            self.report(place, "the type changes");
        }
        self.fixed(place, way, &old, &new);
        self.values(place, way, &old, &new);
        self.properties(place, way, &old, &new);
        // The values of the second one include those of the first one.
        let (inner, outer) = if way == Way::Request { (&old, &new) } else { (&new, &old) };
        self.bounds(place, way, inner, outer);
        for keyword in SUBSCHEMAS {
            if old[keyword].is_object() && new[keyword].is_object() {
                self.schema(&format!("{place}[]"), way, &old[keyword], &new[keyword]);
            } else if !is_permitted(keyword, way, inner, outer) {
                self.report(place, &format!("{keyword} changes"));
            }
        }
        let groups: [&[&str]; 7] =
            [&ANNOTATIONS, &ALTERNATIVES, &FIXED, &SUBSCHEMAS, &LARGEST, &LEAST, &OTHERS];
        self.unknown(place, &groups.concat(), &old, &new);
    }

    /// Each alternative has a counterpart: of the old version in a request, of both versions in an answer.
    fn alternatives(&mut self, place: &str, way: Way, old: &[Value], new: &[Value]) {
        let is_kept = |old: &Value, new: &Value| {
            let mut comparison = Comparison { old: self.old, new: self.new, found: Vec::new() };
            comparison.schema(place, way, old, new);
            comparison.found.is_empty()
        };
        for (number, alternative) in old.iter().enumerate() {
            if new.iter().any(|new| is_kept(alternative, new)) {
                continue;
            }
            match new.get(number) {
                Some(counterpart) if old.len() == new.len() => {
                    self.schema(place, way, alternative, counterpart);
                }
                Some(_) | None => self.report(place, "an alternative is removed"),
            }
        }
        let has_more = !new.iter().all(|new| old.iter().any(|old| is_kept(old, new)));
        if has_more && way == Way::Answer && new.len() > old.len() {
            self.report(place, "an alternative is added");
        }
    }

    /// The keywords with one value.
    fn fixed(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        for keyword in FIXED {
            let is_loosened = match (way, keyword) {
                (Way::Request, "default") => old.get(keyword).is_none(),
                (Way::Request, _) => new.get(keyword).is_none(),
                (Way::Answer, _) => ["default", "pattern"].contains(&keyword),
            };
            if old.get(keyword) != new.get(keyword) && !is_loosened {
                self.report(place, &format!("{keyword} changes"));
            }
        }
    }

    fn values(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        let is_subset = |some: &[Value], all: &[Value]| some.iter().all(|it| all.contains(it));
        match (old["enum"].as_array(), new["enum"].as_array(), way) {
            (Some(old), Some(new), Way::Request) if is_subset(old, new) => {}
            (Some(old), Some(new), Way::Answer) if is_subset(old, new) && is_subset(new, old) => {}
            (None, None, _) | (Some(_), None, Way::Request) => {}
            _ => self.report(place, "the values change"),
        }
    }

    fn bounds(&mut self, place: &str, way: Way, inner: &Value, outer: &Value) {
        let number = |schema: &Value, keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        let (lower, higher) = match way {
            Way::Request => ("becomes smaller", "becomes larger"),
            Way::Answer => ("becomes larger", "becomes smaller"),
        };
        for keyword in LARGEST {
            let (inner, outer) = (number(inner, keyword), number(outer, keyword));
            if outer.is_some_and(|outer| inner.is_none_or(|inner| inner > outer)) {
                self.report(place, &format!("{keyword} {lower}"));
            }
        }
        for keyword in LEAST {
            let (inner, outer) = (number(inner, keyword), number(outer, keyword));
            if outer.is_some_and(|outer| inner.is_none_or(|inner| inner < outer)) {
                self.report(place, &format!("{keyword} {higher}"));
            }
        }
        if outer["uniqueItems"] == true && inner["uniqueItems"] != true {
            self.report(place, "uniqueItems changes");
        }
    }

    /// Reports each change of a keyword that is not compared.
    fn unknown(&mut self, place: &str, known: &[&str], old: &Value, new: &Value) {
        let keywords: BTreeSet<&str> =
            fields(old).chain(fields(new)).map(|(keyword, _)| keyword.as_str()).collect();
        for keyword in keywords {
            if !known.contains(&keyword) && old.get(keyword) != new.get(keyword) {
                self.report(place, &format!("{keyword} changes; its effect is unknown"));
            }
        }
    }

    fn properties(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        for (name, old) in fields(&old["properties"]) {
            let place = format!("{place} {name}");
            match new["properties"].get(name) {
                Some(new) => self.schema(&place, way, old, new),
                None => self.report(&place, "the field is removed"),
            }
        }
        let (from, to) = (texts(&old["required"]), texts(&new["required"]));
        let (missing, change) = match way {
            Way::Request => (to.difference(&from), "the field becomes required"),
            Way::Answer => (from.difference(&to), "the field becomes optional"),
        };
        let missing: Vec<String> = missing.map(|name| format!("{place} {name}")).collect();
        for place in missing {
            self.report(&place, change);
        }
    }
}

/// A schema, with the keywords of the one that it refers to. Its own keywords precede.
fn with_reference(document: &Value, schema: &Value) -> Value {
    let mut merged = resolved(document, schema).as_object().cloned().unwrap_or_default();
    if schema.get("$ref").is_some() {
        merged.extend(schema.as_object().cloned().unwrap_or_default());
        merged.remove("$ref");
    }
    merged.into()
}

/// The alternatives of a schema.
fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    let [any, one] = ALTERNATIVES.map(|keyword| schema[keyword].as_array());
    assert!(any.is_none() || one.is_none(), "both are in {schema}");
    any.or(one)
}

/// The alternatives of a schema, each with the other keywords of the schema.
fn completed(schema: &Value, alternatives: &[Value]) -> Vec<Value> {
    let complete = |alternative: &Value| {
        let mut complete = schema.as_object().cloned().unwrap_or_default();
        complete.retain(|keyword, _| !ALTERNATIVES.contains(&keyword.as_str()));
        complete.extend(alternative.as_object().cloned().unwrap_or_default());
        complete.into()
    };
    alternatives.iter().map(complete).collect()
}

/// The types of a schema: all, if it has none. A number may be an integer.
fn types(schema: &Value) -> BTreeSet<&str> {
    let mut types = texts(&schema["type"]);
    if types.is_empty() {
        types.extend(["array", "boolean", "null", "number", "object", "string"]);
    }
    if types.contains("number") {
        types.insert("integer");
    }
    types
}

/// Whether a keyword with a schema permits in `outer` what it permits in `inner`, if one of them has no schema.
/// Answers may get further fields.
fn is_permitted(keyword: &str, way: Way, inner: &Value, outer: &Value) -> bool {
    let (inner, outer) = (&inner[keyword], &outer[keyword]);
    let is_open = outer.is_null() || *outer == true || (*outer == false && way == Way::Answer);
    is_open || *inner == false
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The texts of a list, or the one text.
fn texts(value: &Value) -> BTreeSet<&str> {
    let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    items.chain(value.as_str()).collect()
}
