//! The pages and the API of the simulated Stripe account.

use std::sync::Arc;

use axum::extract::{FromRef, Path, RawForm, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Form, Json, Router};
use serde::Deserialize;
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::domain::{Error, Resource};
use shared::http::Query;
use shared::lambda::App;
use stripe::{Outcome, Simulated, html};

use crate::messages::Messages;

/// A card that the bank declines.
const DECLINED_CARD: &str = "4000000000000002";

/// The state of these routes.
#[derive(Clone, FromRef)]
pub(crate) struct PagesState {
    pub(crate) app: App,
    pub(crate) account: Simulated,
    pub(crate) messages: Arc<Messages>,
}

pub(crate) fn routes(state: PagesState) -> Router {
    Router::new()
        .route("/dev/pay", get(returned))
        .route("/dev/pay/{id}", get(page).post(act))
        .route("/dev/stripe/{*path}", any(api))
        .with_state(state)
}

async fn page(
    State(account): State<Simulated>,
    Path(id): Path<String>,
) -> Result<Html<String>, Error> {
    show(&account, &id, None)
}

fn show(account: &Simulated, id: &str, message: Option<&str>) -> Result<Html<String>, Error> {
    let page = account.account().page(id).ok_or(Error::NotFound(Resource::Route))?;
    Ok(Html(html(&page, message)))
}

/// The form of a page.
#[derive(Deserialize)]
struct Act {
    choice: Choice,
    #[serde(default)]
    card_number: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Choice {
    Pay,
    Decline,
    Leave,
    Confirm,
    Refuse,
}

async fn act(
    State(PagesState { app, account, messages }): State<PagesState>,
    Path(id): Path<String>,
    Form(Act { choice, card_number }): Form<Act>,
) -> Result<Response, Error> {
    let now = app.clock.now().timestamp().as_second();
    let digits: String = card_number.chars().filter(char::is_ascii_digit).collect();
    let outcome = {
        let mut account = account.account();
        match choice {
            Choice::Pay => account.pay(&id, &digits, now),
            Choice::Decline => account.pay(&id, DECLINED_CARD, now),
            Choice::Leave => account.leave(&id, now),
            Choice::Confirm => account.authenticate(&id, true, now),
            Choice::Refuse => account.authenticate(&id, false, now),
        }
    };
    messages.deliver().await;
    match outcome {
        Outcome::Redirect(url) => Ok(Redirect::to(&url).into_response()),
        Outcome::Authenticate(id) => Ok(Redirect::to(&format!("/dev/pay/{id}")).into_response()),
        Outcome::Declined(message) => Ok(show(&account, &id, Some(&message))?.into_response()),
        Outcome::Unknown => Err(Error::NotFound(Resource::Route)),
    }
}

/// The query of the page that customers return to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Returned {
    purchase: Option<String>,
}

/// Stands for the page of the product that customers return to: states the purchase.
async fn returned(
    State(PagesState { app, account, .. }): State<PagesState>,
    Query(Returned { purchase }): Query<Returned>,
) -> Result<Html<String>, Error> {
    let named = |name: &str, metadata: &std::collections::BTreeMap<String, String>| {
        metadata.get(name).cloned().unwrap_or_default()
    };
    let found = account
        .account()
        .intents()
        .find(|intent| Some(named("purchase", &intent.metadata)) == purchase)
        .map(|intent| (named("team", &intent.metadata), named("purchase", &intent.metadata)));
    let text = match found {
        Some((team, id)) => match (team.parse(), id.parse()) {
            (Ok(team), Ok(id)) => state_of(&app.store.purchase_read(&team, &id).await?),
            _ => return Err(Error::NotFound(Resource::Purchase)),
        },
        None => "Nothing was paid.".to_owned(),
    };
    Ok(Html(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Back at the product</title>\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;\
         max-width:26rem;margin:0 auto;padding:1.5rem 1rem}}h1{{font-size:1.25rem}}</style>\n\
         <h1>Back at the product</h1>\n<p>{text}</p>\n</html>\n"
    )))
}

fn state_of(purchase: &Purchase) -> String {
    let Purchase { team, credits, status, .. } = purchase;
    match status {
        PurchaseStatus::Paid => format!("Team {team} has bought {credits} credits."),
        PurchaseStatus::Pending => format!("The payment of {credits} credits is not complete."),
        PurchaseStatus::Failed => format!("The payment of {credits} credits has failed."),
    }
}

/// Answers requests of Stripe's API, for functions in other processes.
async fn api(
    State(account): State<Simulated>,
    Path(path): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    RawForm(form): RawForm,
) -> Response {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    let bearer = text(header::AUTHORIZATION);
    let key = text(header::HeaderName::from_static("idempotency-key"));
    let query = uri.query().unwrap_or_default().as_bytes().to_vec();
    let fields = [&query[..], b"&", if method == Method::GET { b"" } else { &form }].concat();
    let request = stripe::Request {
        method: method.to_string(),
        path: format!("/{path}"),
        fields: form_urlencoded::parse(&fields).into_owned().collect(),
        idempotency_key: key,
        secret_key: bearer.and_then(|text| Some(text.strip_prefix("Bearer ")?.to_owned())),
    };
    let stripe::Answer { status, body, is_replay } = account.answer(&request);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, Json(body)).into_response();
    if is_replay {
        let replayed = header::HeaderValue::from_static("true");
        answer.headers_mut().insert("idempotent-replayed", replayed);
    }
    answer
}
