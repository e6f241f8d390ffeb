//! The demo team, its tokens, and the first requests for it.

use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::lambda::App;

use crate::token::{Claims, sign};
use crate::{Options, Stack};

const TEAM: &str = "demo";

/// Further requests to copy, after those of [`first_steps`]. They use the same exports.
pub const REQUESTS: &str = include_str!("requests.sh");

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
    let request = serde_json::from_str(r#"{"plan":"multichannel_expert","seats":1}"#)
        .map_err(Error::internal)?;
    app.store.pool_open(&team).await?;
    app.store.terms_change(&team, now, |pool| pool.subscribe(&request, now)).await.map(drop)
}

/// Returns the addresses of the stack's parts, the tokens as exports, and three requests to copy.
///
/// # Errors
/// [`Error::Internal`] if a token cannot be signed.
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
    Ok(FIRST_STEPS
        .replace("{url}", stack.url())
        .replace("{dynamodb}", stack.engine().endpoint())
        .replace("{data}", directory.as_deref().unwrap_or("in memory"))
        .replace("{eventbridge}", stack.eventbridge().endpoint())
        .replace("{now}", &stack.app().clock.now().to_string())
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
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: first' -d '{"action":"email_finder","outcome":"deliverable"}'
curl -iw '\n' $URL/teams/demo/purchases -H "authorization: Bearer $ADMIN" -H 'content-type: application/json' -H 'idempotency-key: order' -d '{"credits":1000}'
curl -iw '\n' $URL/teams/demo/credits -H "authorization: Bearer $MEMBER"

# More requests: cargo run -- requests, and shared/docs/REQUESTS.md. Ctrl-C stops the stack.
"#;
