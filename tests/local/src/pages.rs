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
use stripe::{Outcome, Simulated, amount, document, escaped, html};

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
    State(PagesState { app, account, .. }): State<PagesState>,
    Path(id): Path<String>,
) -> Result<Html<String>, Error> {
    let mut account = account.account();
    account.advance(app.clock.now().timestamp().as_second());
    let page = account.page(&id).ok_or(Error::NotFound(Resource::Route))?;
    Ok(Html(html(&page, None)))
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
        Outcome::Declined(message) => {
            let page = account.account().page_after_decline(&id);
            let page = page.ok_or(Error::NotFound(Resource::Route))?;
            Ok(Html(html(&page, Some(&message))).into_response())
        }
        Outcome::Unknown => Err(Error::NotFound(Resource::Route)),
    }
}

/// The query of the page that customers return to. Stripe adds further parameters after a step.
#[derive(Deserialize)]
struct Returned {
    purchase: Option<String>,
}

/// Stands for the page of the product that customers return to: states the purchase.
async fn returned(
    State(PagesState { app, account, .. }): State<PagesState>,
    Query(Returned { purchase }): Query<Returned>,
) -> Result<Html<String>, Error> {
    let text = match purchase {
        None => "<p>You are back from the page for the card.</p>\n".to_owned(),
        Some(purchase) => {
            let named = account.account().metadata_with("purchase", &purchase).cloned();
            let team = named.and_then(|mut metadata| metadata.remove("team")?.parse().ok());
            match (team, purchase.parse()) {
                (Some(team), Ok(id)) => state_of(&app.store.purchase_read(&team, &id).await?),
                // The purchases of a real account are found by the team only.
                _ => format!(
                    "<p>You are back from the payment of the purchase {}.</p>\n\
                     <p><code>GET /teams/{{team}}/purchases/{{id}}</code> answers its state.</p>\n",
                    escaped(&purchase)
                ),
            }
        }
    };
    let main = format!(
        "<h1>Back at the product</h1>\n{text}\
         <p class=\"note\">This page stands for the product's. It states what the API answers.</p>\n"
    );
    Ok(Html(document("Back at the product", &main)))
}

fn state_of(purchase: &Purchase) -> String {
    let Purchase { team, credits, status, .. } = purchase;
    let paid = amount(purchase.amount.cents, &purchase.amount.currency.to_string());
    let text = match status {
        PurchaseStatus::Paid => format!("Team {team} has bought {credits} credits for {paid}."),
        PurchaseStatus::Pending => {
            format!("The payment of {credits} credits for {paid} is not complete.")
        }
        PurchaseStatus::Failed => {
            let reason = purchase.reason.as_deref().unwrap_or_default();
            format!("The payment of {credits} credits has failed: {}.", escaped(reason))
        }
    };
    let receipt = match purchase.receipt.as_ref().and_then(|receipt| receipt.url.as_deref()) {
        Some(url) => format!("<p><a href=\"{}\">Receipt</a></p>\n", escaped(url)),
        None => String::new(),
    };
    format!("<p class=\"amount\">{credits} credits</p>\n<p>{text}</p>\n{receipt}")
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
