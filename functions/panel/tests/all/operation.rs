//! An operation of the API, as its row in the table of operations.

use serde_json::{Value, json};
use shared::domain::Error;
use shared::http::Problem;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// The callers of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    Anyone,
    /// Stripe, by the signature of the body.
    Stripe,
    AnyToken,
    Person,
    Team,
    Read,
    Charge,
    Restart,
    Manage,
    Admin,
    AdminOrManage,
}

impl Callers {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Anyone => "Anyone, without a token.",
            Self::Stripe => "Stripe, which signs the body. There is no token.",
            Self::AnyToken => "Anyone with a valid token.",
            Self::Person => "A person, for the team of the token.",
            Self::Team => "Any person of the team.",
            Self::Read => "Any person of the team, and machine clients with any scope.",
            Self::Charge => {
                "Any person of the team, and machine clients with the scope `credits:charge`."
            }
            Self::Restart => {
                "Any person of the team, and machine clients with the scope `credits:charge` or \
                 `credits:manage`."
            }
            Self::Manage => "Machine clients with the scope `credits:manage`.",
            Self::Admin => "Admins of the team.",
            Self::AdminOrManage => {
                "Admins of the team, and machine clients with the scope `credits:manage`."
            }
        }
    }

    pub const fn have_a_token(self) -> bool {
        !matches!(self, Self::Anyone | Self::Stripe)
    }

    /// The roles and scopes of callers that the operation accepts.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Anyone | Self::Stripe => &[],
            Self::AnyToken | Self::Read => {
                &["member", "admin", "credits:charge", "credits:manage", "credits:read"]
            }
            Self::Person | Self::Team => &["member", "admin"],
            Self::Charge => &["member", "admin", "credits:charge"],
            Self::Restart => &["member", "admin", "credits:charge", "credits:manage"],
            Self::Manage => &["credits:manage"],
            Self::Admin => &["admin"],
            Self::AdminOrManage => &["admin", "credits:manage"],
        }
    }
}

/// The schemas of a type and of the types in it, with their names.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// A type of a body or of a query.
#[derive(Clone)]
pub struct Shape {
    pub name: String,
    pub collect: fn(&mut Schemas),
}

pub fn shape<T: ToSchema>() -> Shape {
    Shape {
        name: T::name().into_owned(),
        collect: |all| {
            all.push((T::name().into_owned(), T::schema()));
            T::schemas(all);
        },
    }
}

/// The body of an answer.
#[derive(Clone)]
pub enum Body {
    None,
    Json(Shape),
    /// An object with one field.
    Named(&'static str, Shape),
    /// An object with one field, which is a list.
    NamedList(&'static str, Shape),
    OneOf(Vec<Shape>),
    /// A page of the history, or a file with `Accept: text/csv`.
    JsonOrCsv(Shape),
    Html,
    /// Any JSON object.
    Object,
}

#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub words: &'static str,
    pub headers: &'static [&'static str],
    pub body: Body,
}

/// An operation on the same team that uses values of the request or of the answer.
#[derive(Clone)]
pub struct Link {
    pub operation: &'static str,
    /// Parameters, each with the runtime expression of its value.
    pub parameters: &'static [(&'static str, &'static str)],
}

#[derive(Clone)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub callers: Callers,
    /// Remarks and limits, as paragraphs.
    pub remarks: Vec<String>,
    pub has_key: bool,
    pub query: Option<Shape>,
    pub body: Option<Shape>,
    pub answers: Vec<Answer>,
    /// The operations that use values of this one.
    pub links: Vec<Link>,
    /// The names of problem types, with the status where a type has several.
    pub problems: Vec<&'static str>,
    /// The problems that are examples here, each in place of the common example of its type.
    pub problem_examples: Vec<Problem>,
}

impl Operation {
    fn new(method: &'static str, path: &'static str, id: &'static str, callers: Callers) -> Self {
        let mut problems = vec!["invalid-request"];
        if callers.have_a_token() {
            problems.extend(["unauthenticated", "forbidden"]);
        }
        if path.contains('{') {
            // A segment may have a character that no route has.
            problems.push("not-found");
        }
        Self {
            method,
            path,
            id,
            summary: "",
            callers,
            remarks: Vec::new(),
            has_key: false,
            query: None,
            body: None,
            answers: Vec::new(),
            links: Vec::new(),
            problems,
            problem_examples: Vec::new(),
        }
    }

    pub fn get(path: &'static str, id: &'static str, callers: Callers) -> Self {
        Self::new("get", path, id, callers)
    }

    pub fn post(path: &'static str, id: &'static str, callers: Callers) -> Self {
        Self::new("post", path, id, callers)
    }

    pub fn put(path: &'static str, id: &'static str, callers: Callers) -> Self {
        Self::new("put", path, id, callers)
    }

    pub fn patch(path: &'static str, id: &'static str, callers: Callers) -> Self {
        Self::new("patch", path, id, callers)
    }

    pub fn delete(path: &'static str, id: &'static str, callers: Callers) -> Self {
        Self::new("delete", path, id, callers)
    }

    pub fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    pub fn remark(mut self, text: impl Into<String>) -> Self {
        self.remarks.push(text.into());
        self
    }

    /// An operation with the header `Idempotency-Key`.
    pub fn keyed(mut self) -> Self {
        self.has_key = true;
        self.problems(&["idempotency-key-reused"])
    }

    pub fn query<T: ToSchema>(mut self) -> Self {
        self.query = Some(shape::<T>());
        self
    }

    pub fn body<T: ToSchema>(mut self) -> Self {
        self.body = Some(shape::<T>());
        self.problems(&["too-large", "unsupported-media-type"])
    }

    /// A body with a type whose schema has another name.
    pub fn body_named<T: ToSchema>(self, name: &str) -> Self {
        let operation = self.body::<T>();
        let body = operation.body.map(|body| Shape { name: name.to_owned(), ..body });
        Self { body, ..operation }
    }

    pub fn answer(self, status: u16, words: &'static str, body: Body) -> Self {
        self.answer_with(status, words, &[], body)
    }

    pub fn answer_with(
        mut self,
        status: u16,
        words: &'static str,
        headers: &'static [&'static str],
        body: Body,
    ) -> Self {
        self.answers.push(Answer { status, words, headers, body });
        self
    }

    /// An answer that caches keep.
    pub fn cacheable(self, words: &'static str, body: Body) -> Self {
        self.answer_with(200, words, &["ETag"], body).answer_with(
            304,
            "The client has the answer: `If-None-Match` names its tag.",
            &["ETag"],
            Body::None,
        )
    }

    /// 201 for the first request, 200 for a replay.
    pub fn created(self, body: &Body) -> Self {
        self.answer(201, "Done.", body.clone()).replayed(body)
    }

    pub fn replayed(self, body: &Body) -> Self {
        let words = "A replay: an earlier request with the same key has done it.";
        self.answer_with(200, words, &["Idempotent-Replayed"], body.clone())
    }

    pub fn link(
        mut self,
        operation: &'static str,
        parameters: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.links.push(Link { operation, parameters });
        self
    }

    pub fn problems(mut self, names: &[&'static str]) -> Self {
        for name in names {
            if !self.problems.contains(name) {
                self.problems.push(name);
            }
        }
        self
    }

    pub fn problem_example(mut self, error: &Error) -> Self {
        self.problem_examples.push(error.into());
        self
    }

    /// An operation on the table, which may be slow or unavailable.
    pub fn stored(self) -> Self {
        self.problems(&["busy", "internal"])
    }

    pub fn tag(&self) -> &'static str {
        match self.path.split('/').nth(if self.path.starts_with("/teams/{team}") { 3 } else { 1 }) {
            Some("charges" | "estimates") => "Charges",
            Some("holds") => "Holds",
            Some("credits" | "history" | "usage" | "team") => "Balance",
            Some("purchases" | "purchase-options" | "payment-method" | "webhooks") => "Purchases",
            Some("prices" | "plans") => "Catalogue",
            Some("openapi.json" | "docs" | "problems" | "health") => "Contract",
            _ => "Teams",
        }
    }

    /// The description of the operation in Markdown.
    pub fn description(&self) -> Value {
        let callers = format!("Callers: {}", self.callers.words());
        let paragraphs: Vec<&str> = std::iter::once(callers.as_str())
            .chain(self.remarks.iter().map(String::as_str))
            .collect();
        json!(paragraphs.join("\n\n"))
    }
}
