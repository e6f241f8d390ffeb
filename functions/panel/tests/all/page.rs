//! The reference page, rendered from the document. It has no script and loads nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::resolved;

const STYLE: &str = include_str!("../../src/page.css");

/// The page of a document.
pub fn page(document: &Value) -> String {
    let page = Page { document, problems: problems(document) };
    let info = &document["info"];
    let title = text(&info["title"]);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} API</title>\n\
         <style>{STYLE}</style>\n<a class=\"skip\" href=\"#top\">To the content</a>\n\
         <nav aria-label=\"Contents\">\n{}</nav>\n<main id=\"top\">\n<h1>{title} API</h1>\n\
         <p>Version {}. <a href=\"openapi.json\">OpenAPI document</a></p>\n{}{}\
         <h2 id=\"problems\">Problems</h2>\n{}<h2 id=\"types\">Types</h2>\n{}</main>\n</html>\n",
        page.contents(),
        text(&info["version"]),
        paragraphs(&info["description"]),
        page.operations(),
        page.problem_sections(),
        page.types(),
    )
}

/// The types of problems by anchor, each with the names of its schemas.
fn problems(document: &Value) -> BTreeMap<String, Vec<String>> {
    let mut problems: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if let Some(kind) = schema["properties"]["type"]["const"].as_str() {
            let anchor = match kind.strip_prefix("/problems/") {
                Some(kind) => format!("problem-{kind}"),
                None => "internal-error".to_owned(),
            };
            problems.entry(anchor).or_default().push(name.clone());
        }
    }
    problems
}

struct Page<'a> {
    document: &'a Value,
    problems: BTreeMap<String, Vec<String>>,
}

impl Page<'_> {
    fn schema(&self, name: &str) -> &Value {
        &self.document["components"]["schemas"][name]
    }

    /// The operations of a tag: method, path and operation.
    fn tagged(&self, tag: &Value) -> Vec<(&String, &String, &Value)> {
        let paths = self.document["paths"].as_object().unwrap().iter();
        let all = paths.flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (method, path, operation))
        });
        all.filter(|(_, _, operation)| operation["tags"][0] == *tag).collect()
    }

    fn contents(&self) -> String {
        let mut html = String::new();
        for tag in self.document["tags"].as_array().unwrap() {
            let links = self.tagged(&tag["name"]).into_iter().map(|(_, _, operation)| {
                link(
                    &format!("op-{}", plain(&operation["operationId"])),
                    &text(&operation["summary"]),
                )
            });
            html += &list(&text(&tag["name"]), links);
        }
        html += &list(
            "Problems",
            self.problems.keys().map(|anchor| link(anchor, problem_name(anchor))),
        );
        html + &list("Types", self.type_names().map(|name| link(&format!("type-{name}"), name)))
    }

    fn operations(&self) -> String {
        let mut html = Vec::new();
        for tag in self.document["tags"].as_array().unwrap() {
            let (name, description) = (text(&tag["name"]), paragraphs(&tag["description"]));
            html.push(format!("<h2>{name}</h2>\n{description}"));
            let operations = self.tagged(&tag["name"]).into_iter();
            html.extend(operations.map(|(method, path, it)| self.operation(method, path, it)));
        }
        html.concat()
    }

    fn operation(&self, method: &str, path: &str, operation: &Value) -> String {
        let id = plain(&operation["operationId"]);
        let head = format!(
            "<section id=op-{id}>\n<h3><b class={method}>{}</b> {path}</h3>\n<p><strong>{}</strong>\n{}",
            method.to_uppercase(),
            text(&operation["summary"]),
            paragraphs(&operation["description"]),
        );
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        // The path shows its own parameters.
        let parameters = parameters.filter(|parameter| parameter["in"] != "path");
        let rows = parameters.map(|parameter| {
            let kind = self.kind(&parameter["schema"]) + optional(parameter["required"] == true);
            [text(&parameter["name"]), kind, text(&parameter["description"])]
        });
        let parameters = table(["Parameter", "Type", "Description"], rows);
        let request = operation.get("requestBody").map_or_else(String::new, |body| {
            format!("<p>Request: {}\n{}", self.media(body), example(body))
        });
        let responses = self.responses(&operation["responses"]);
        format!("{head}{parameters}{request}{responses}</section>\n")
    }

    /// The answers as a table with an example, and the refusals as a list of links.
    fn responses(&self, responses: &Value) -> String {
        let responses = responses.as_object().unwrap().iter();
        let responses: Vec<(&String, &Value)> = responses
            .map(|(status, response)| (status, resolved(self.document, response)))
            .collect();
        let (refusals, answers): (Vec<_>, Vec<_>) = responses
            .into_iter()
            .partition(|(_, it)| it["content"].get("application/problem+json").is_some());
        let rows = answers.iter().map(|(status, answer)| {
            [(*status).clone(), self.media(answer), text(&answer["description"])]
        });
        let table = table(["Status", "Answer", "Description"], rows);
        let mut refusals: Vec<String> = refusals
            .into_iter()
            .map(|(status, it)| format!("{status} {}", self.media(it)))
            .collect();
        let common = Self::common_problems();
        if common.iter().all(|problem| refusals.contains(problem)) {
            refusals.retain(|problem| !common.contains(problem));
            refusals.push(link("problems", "common problems"));
        }
        let refusals = refusals.join(", ");
        let example = answers.last().map(|(_, answer)| example(answer)).unwrap_or_default();
        format!("{table}{example}<p class=soft>Refused: {refusals}\n")
    }

    /// The problems of nearly all operations, as they are listed.
    fn common_problems() -> [String; 5] {
        let problems = [
            (400, "problem-invalid-request"),
            (401, "problem-unauthenticated"),
            (403, "problem-forbidden"),
            (500, "internal-error"),
            (503, "problem-busy"),
        ];
        problems.map(|(status, anchor)| format!("{status} {}", link(anchor, problem_name(anchor))))
    }

    /// The type of a body.
    fn media(&self, body: &Value) -> String {
        let content = body["content"].as_object();
        let kinds = content.into_iter().flatten().map(|(media, body)| match media.as_str() {
            "application/json" | "application/problem+json" => self.kind(&body["schema"]),
            other => format!("<code>{other}</code>"),
        });
        kinds.collect::<Vec<_>>().join(" or ")
    }

    /// A type in words, with links.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            return self.reference(name.rsplit('/').next().unwrap(), schema);
        }
        if let Some(either) = schema["oneOf"].as_array() {
            let kinds: Vec<String> = either.iter().map(|schema| self.kind(schema)).collect();
            return kinds.join(" or ");
        }
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(code).collect();
            return values.join(", ");
        }
        if let Some(value) = schema.get("const") {
            return code(value);
        }
        if let Some(properties) = schema["properties"].as_object() {
            let fields = properties
                .iter()
                .map(|(name, schema)| format!("<code>{name}</code>: {}", self.kind(schema)));
            return fields.collect::<Vec<_>>().join(", ");
        }
        if schema["items"].is_object() {
            return format!("list of {}", self.kind(&schema["items"]));
        }
        let types =
            schema["type"].as_array().map(|types| types.iter().map(plain).collect::<Vec<_>>());
        let kind =
            types.map_or_else(|| plain(&schema["type"]).to_owned(), |types| types.join(" or "));
        let format = schema["format"].as_str().filter(|format| format.starts_with("date"));
        format.map_or(kind, str::to_owned) + &bounds(schema)
    }

    /// A link to the type of a reference; the values of an enumeration.
    fn reference(&self, name: &str, place: &Value) -> String {
        let problem = self.problems.iter().find(|(_, names)| names.iter().any(|it| it == name));
        if let Some((anchor, _)) = problem {
            return link(anchor, problem_name(anchor));
        }
        let schema = self.schema(name);
        if schema["enum"].is_array() {
            return self.kind(schema);
        }
        link(&format!("type-{name}"), name) + &bounds(place)
    }

    fn problem_sections(&self) -> String {
        let common = Self::common_problems().join(", ");
        let mut html = vec![format!("<p>Common problems: {common}\n")];
        for (anchor, schemas) in &self.problems {
            let name = problem_name(anchor);
            html.push(format!("<section id={anchor}>\n<h3>{name}</h3>\n"));
            html.extend(schemas.iter().map(|name| {
                let schema = self.schema(name);
                let status = &schema["properties"]["status"]["const"];
                let when = text(&schema["description"]);
                let example = &self.document["components"]["examples"][name]["value"];
                let example = escaped(&example.to_string());
                format!("<p><strong>{status}</strong> {when}\n<pre>{example}</pre>\n")
            }));
            html.push("</section>\n".to_owned());
        }
        html.concat()
    }

    /// The types with a section: not the problems, and not the enumerations.
    fn type_names(&self) -> impl Iterator<Item = &String> {
        let schemas = self.document["components"]["schemas"].as_object().unwrap().iter();
        let is_problem = |name| self.problems.values().any(|names| names.contains(name));
        let shown =
            schemas.filter(move |(name, schema)| !is_problem(name) && !schema["enum"].is_array());
        shown.map(|(name, _)| name)
    }

    fn types(&self) -> String {
        let sections = self.type_names().map(|name| {
            let schema = self.schema(name);
            let body = match schema["properties"].as_object() {
                Some(properties) => self.fields(schema, properties),
                None => format!("<p>{}\n", self.kind(schema)),
            };
            let description = paragraphs(&schema["description"]);
            format!("<section id=type-{name}>\n<h3>{name}</h3>\n{description}{body}</section>\n")
        });
        sections.collect::<Vec<_>>().concat()
    }

    fn fields(&self, schema: &Value, properties: &Map<String, Value>) -> String {
        let required = schema["required"].as_array();
        let is_required =
            |name: &String| required.is_some_and(|names| names.iter().any(|it| it == name));
        let rows = properties.iter().map(|(name, field)| {
            let kind = self.kind(field) + optional(is_required(name));
            [name.clone(), kind, text(&field["description"])]
        });
        table(["Field", "Type", "Description"], rows)
    }
}

fn problem_name(anchor: &str) -> &str {
    anchor.strip_prefix("problem-").unwrap_or(anchor)
}

fn optional(is_required: bool) -> &'static str {
    if is_required { "" } else { " <small>optional</small>" }
}

/// The limits and the default of a value.
fn bounds(schema: &Value) -> String {
    let mut words = Vec::new();
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(from), Value::Number(to)) => words.push(format!("{from} to {to}")),
        (Value::Number(from), _) => words.push(format!("at least {from}")),
        _ => {}
    }
    if let Value::Number(length) = &schema["maxLength"] {
        words.push(format!("at most {length} characters"));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        words.push(format!("<code>{}</code>", escaped(pattern)));
    }
    if let Some(default) = schema.get("default") {
        words.push(format!("default {default}"));
    }
    if words.is_empty() { String::new() } else { format!(" <small>{}</small>", words.join("; ")) }
}

/// The first example of a body, which the reader opens.
fn example(body: &Value) -> String {
    let examples = body.pointer("/content/application~1json/examples").and_then(Value::as_object);
    let example = examples.and_then(|examples| examples.values().next());
    let json = example.map(|example| example["value"].to_string());
    json.map_or_else(String::new, |json| {
        format!("<details><summary>Example</summary><pre>{}</pre></details>\n", escaped(&json))
    })
}

fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let cells = |cells: [String; N]| format!("<tr><td>{}\n", cells.join("<td>"));
    let rows: String = rows.map(cells).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("<table>\n<tr><th scope=col>{}\n{rows}</table>\n", heads.join("<th scope=col>"))
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    let items = items.map(|item| format!("<li>{item}\n")).collect::<Vec<_>>().concat();
    format!("<h2>{title}</h2>\n<ul>\n{items}</ul>\n")
}

fn link(anchor: &str, words: &str) -> String {
    format!("<a href=#{anchor}>{words}</a>")
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn code(value: &Value) -> String {
    format!("<code>{}</code>", escaped(plain(value)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text with `code` in Markdown.
fn text(value: &Value) -> String {
    let parts = escaped(plain(value));
    let parts = parts.split('`').enumerate().map(|(number, part)| {
        if number % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }
    });
    parts.collect()
}

fn paragraphs(value: &Value) -> String {
    let texts = plain(value).split("\n\n").filter(|text| !text.is_empty());
    let paragraphs = texts.map(|paragraph| format!("<p>{}\n", text(&paragraph.into())));
    paragraphs.collect::<Vec<_>>().concat()
}
