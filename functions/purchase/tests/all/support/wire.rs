//! A connection that records requests and answers them by a script.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// A request that was sent.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub uri: String,
    /// The headers in lowercase.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// The account behind the connection answers.
    Pass,
    /// It is answered with this status and body.
    Answer(u16, String),
    /// It is answered as a request before it: with `Idempotent-Replayed: true`.
    Replay(u16, String),
    /// The connection breaks.
    Break,
    /// It is never answered.
    Hang,
}

impl Act {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, body.to_string())
    }

    pub fn error(status: u16, kind: &str) -> Self {
        Self::Answer(status, format!(r#"{{"error":{{"type":"{kind}","message":"a reason"}}}}"#))
    }
}

type Script = Box<dyn FnMut(&Seen) -> Act + Send>;

#[derive(Clone)]
pub struct Wire {
    account: Option<SharedHttpConnector>,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.seen).finish()
    }
}

impl Seen {
    fn of(request: &HttpRequest) -> Self {
        let headers = request.headers().iter();
        Self {
            method: request.method().to_owned(),
            uri: request.uri().to_owned(),
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            body: String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        let path = &self.uri[self.uri.find("://").map_or(0, |at| at + 3)..];
        let path = &path[path.find('/').unwrap()..];
        path.split('?').next().unwrap()
    }
}

impl Wire {
    /// A connection to an account. All requests pass.
    pub fn to(account: SharedHttpConnector) -> Self {
        Self { account: Some(account), ..Self::scripted(|_| Act::Pass) }
    }

    /// A connection whose answers are those of the script.
    pub fn scripted(script: impl FnMut(&Seen) -> Act + Send + 'static) -> Self {
        let script: Script = Box::new(script);
        Self { account: None, seen: Arc::default(), script: Arc::new(Mutex::new(script)) }
    }

    /// A connection that gives these answers in turn.
    pub fn answering(acts: impl IntoIterator<Item = Act>) -> Self {
        let mut acts = acts.into_iter().collect::<Vec<_>>().into_iter();
        Self::scripted(move |seen| acts.next().unwrap_or_else(|| panic!("unexpected: {seen:?}")))
    }

    /// Changes the script of the later requests.
    pub fn play(&self, script: impl FnMut(&Seen) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    /// The requests since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The requests since the last call: method and path of each.
    pub fn lines(&self) -> Vec<String> {
        self.take().iter().map(|seen| format!("{} {}", seen.method, seen.path())).collect()
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let seen = Seen::of(&request);
        let act = (self.script.lock().unwrap())(&seen);
        self.seen.lock().unwrap().push(seen);
        let (is_replay, status, body) = match act {
            Act::Pass => return self.account.as_ref().unwrap().call(request),
            Act::Answer(status, body) => (false, status, body),
            Act::Replay(status, body) => (true, status, body),
            Act::Break => {
                let error = ConnectorError::io("the connection broke".into());
                return HttpConnectorFuture::ready(Err(error));
            }
            Act::Hang => return HttpConnectorFuture::new(std::future::pending()),
        };
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if is_replay {
            response.headers_mut().insert("idempotent-replayed", "true");
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}
