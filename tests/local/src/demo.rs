//! The demo team, its tokens, and the requests for it.

use serde_json::json;
use shared::domain::Error;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::ids::TeamId;
use shared::domain::pool::Pool;
use shared::lambda::App;

use crate::catalogue::sample;
use crate::token::{Claims, sign};
use crate::{Options, Stack};

const TEAM: &str = "demo";

/// The template of [`requests`].
const REQUESTS: &str = include_str!("requests.sh");

/// Further requests to copy, after those of [`first_steps`]. They use the same exports.
///
/// # Errors
/// [`Error::Internal`] if the price list has no action that costs credits.
pub fn requests(list: &PriceList) -> Result<String, Error> {
    filled(REQUESTS, list)
}

/// A template of requests with an action, its price and amounts of credits to buy.
fn filled(template: &str, list: &PriceList) -> Result<String, Error> {
    let action = sample::action(list)?;
    let presets = &list.purchase.presets;
    let [smaller, larger] =
        [0, 1].map(|index| *presets.get(index).unwrap_or(&list.purchase.minimum));
    Ok(template
        .replace("{action}", &action.name)
        .replace("{outcome}", sample::outcome(action))
        .replace("{credits}", &action.credits.to_string())
        .replace("{smaller}", &smaller.to_string())
        .replace("{larger}", &larger.to_string()))
}

/// The id of the demo team.
pub(crate) fn team() -> Result<TeamId, Error> {
    TEAM.parse().map_err(|error| Error::internal(format!("{error}")))
}

/// Opens the demo team with a plan, unless an earlier run has opened it.
pub(crate) async fn open(app: &App) -> Result<(), Error> {
    let (team, now) = (team()?, app.clock.now());
    match app.store.pool_current(&team, now).await {
        Err(Error::NotFound(_)) => {}
        found => return found.map(drop),
    }
    let plan = &sample::plan(app.prices(now))?.name;
    let request = serde_json::from_value(json!({ "plan": plan })).map_err(Error::internal)?;
    app.store.pool_open(&team).await?;
    let subscribe = |pool: &Pool| pool.subscribe(&request, &app.catalogue, now);
    app.store.terms_change(&team, now, subscribe).await.map(drop)
}

/// Returns the addresses of the stack's parts, the tokens as exports, and three requests to copy.
///
/// # Errors
/// [`Error::Internal`] if a token cannot be signed, or if the price list has no action that costs credits.
pub fn first_steps(stack: &Stack, options: &Options) -> Result<String, Error> {
    let person = |sub: &str, role: &str| Claims {
        sub: Some(sub.to_owned()),
        team: Some(TEAM.to_owned()),
        role: Some(role.to_owned()),
        scope: None,
    };
    let machine = |sub: &str, scope: &str| Claims {
        sub: Some(sub.to_owned()),
        scope: Some(scope.to_owned()),
        ..Claims::default()
    };
    let sign = |claims: Claims| sign(&claims).map_err(Error::internal);
    let directory = options.data.as_ref().map(|data| format!("in {}", data.display()));
    let app = stack.app();
    Ok(filled(FIRST_STEPS, app.prices(app.clock.now()))?
        .replace("{url}", stack.url())
        .replace("{dynamodb}", stack.engine().endpoint())
        .replace("{data}", directory.as_deref().unwrap_or("in memory"))
        .replace("{eventbridge}", stack.eventbridge().endpoint())
        .replace("{now}", &app.clock.now().to_string())
        .replace("{admin}", &sign(person("ada", "admin"))?)
        .replace("{member}", &sign(person("max", "member"))?)
        .replace("{pipeline}", &sign(machine("pipeline", "credits:charge"))?)
        .replace("{billing}", &sign(machine("billing", "credits:manage"))?))
}

/// The comments are safe to paste into a shell that takes `#` for a command: no quotes, no brackets.
const FIRST_STEPS: &str = r#"
# DynamoDB   {dynamodb}, table credits, {data}
# Event bus  {eventbridge}, log at {url}/dev/events
# Clock      {now}, moved with PUT {url}/dev/clock

# For a second shell: the tokens of an admin, a member, the pipeline and billing, then three requests.
export URL={url}
export ADMIN={admin}
export MEMBER={member}
export PIPELINE={pipeline}
export BILLING={billing}
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: first' -d '{"action":"{action}","outcome":"{outcome}"}'
curl -iw '\n' $URL/teams/demo/purchases -H "authorization: Bearer $ADMIN" -H 'content-type: application/json' -H 'idempotency-key: order' -d '{"credits":{smaller}}'
curl -iw '\n' $URL/teams/demo/credits -H "authorization: Bearer $MEMBER"

# More requests: cargo run -- requests, and shared/docs/REQUESTS.md. Ctrl-C stops the stack.
"#;
