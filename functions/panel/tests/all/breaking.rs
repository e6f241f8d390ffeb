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
        if old.is_null() && new["required"] == true {
            self.report(&place, "a body becomes required");
        }
        self.content(&place, Way::Request, old, new);
    }

    fn response(&mut self, place: &str, old: &Value, new: &Value) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        for (header, _) in fields(&old["headers"]) {
            if new["headers"].get(header).is_none() {
                self.report(place, &format!("the header {header} is removed"));
            }
        }
        // Problems are compared by type: an operation may get further ones.
        if old["content"].get("application/problem+json").is_none() {
            self.content(place, Way::Answer, old, new);
        }
    }

    fn content(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        for (media, old) in fields(&old["content"]) {
            match new["content"].get(media) {
                Some(new) => self.schema(place, way, &old["schema"], &new["schema"]),
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
        if old.get("oneOf").is_some() || new.get("oneOf").is_some() {
            return self.alternatives(place, way, &old, &new);
        }
        let (from, to) = (texts(&old["type"]), texts(&new["type"]));
        let is_kept = if way == Way::Request { from.is_subset(&to) } else { from == to };
        if !is_kept && !to.is_empty() {
            self.report(place, "the type changes");
        }
        for keyword in ["format", "const", "pattern"] {
            let is_loosened = match way {
                Way::Request => new.get(keyword).is_none(),
                Way::Answer => keyword == "pattern",
            };
            if old.get(keyword) != new.get(keyword) && !is_loosened {
                self.report(place, &format!("{keyword} changes"));
            }
        }
        self.values(place, way, &old, &new);
        if way == Way::Request {
            self.bounds(place, &old, &new);
        }
        self.properties(place, way, &old, &new);
        for keyword in ["items", "additionalProperties"] {
            if old[keyword].is_object() && new[keyword].is_object() {
                self.schema(&format!("{place}[]"), way, &old[keyword], &new[keyword]);
            }
        }
    }

    /// Each alternative has a counterpart: of the old version in a request, of both versions in an answer.
    fn alternatives(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        let alternatives = |schema: &Value| {
            schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()])
        };
        let (old, new) = (alternatives(old), alternatives(new));
        let new_count = new.len();
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
                Some(new) if old.len() == new_count => self.schema(place, way, alternative, new),
                Some(_) | None => self.report(place, "an alternative is removed"),
            }
        }
        let has_more = !new.iter().all(|new| old.iter().any(|old| is_kept(old, new)));
        if has_more && way == Way::Answer && new_count > old.len() {
            self.report(place, "an alternative is added");
        }
    }

    fn values(&mut self, place: &str, way: Way, old: &Value, new: &Value) {
        match (old.get("enum"), new.get("enum"), way) {
            (Some(old), Some(new), Way::Request) if texts(old).is_subset(&texts(new)) => {}
            (Some(old), Some(new), Way::Answer) if texts(old) == texts(new) => {}
            (None, None, _) | (Some(_), None, Way::Request) => {}
            _ => self.report(place, "the values change"),
        }
    }

    fn bounds(&mut self, place: &str, old: &Value, new: &Value) {
        let number = |schema: &Value, keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        for keyword in ["maximum", "maxLength", "maxItems"] {
            let (old, new) = (number(old, keyword), number(new, keyword));
            if new.is_some_and(|new| old.is_none_or(|old| new < old)) {
                self.report(place, &format!("{keyword} becomes smaller"));
            }
        }
        for keyword in ["minimum", "minLength", "minItems"] {
            let (old, new) = (number(old, keyword), number(new, keyword));
            if new.is_some_and(|new| old.is_none_or(|old| new > old)) {
                self.report(place, &format!("{keyword} becomes larger"));
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
