//! The demo team, and what to do with it first.

use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use shared::lambda::App;

use crate::token::{Claims, sign};

const TEAM: &str = "demo";

/// The demo team.
pub(crate) fn team() -> Result<TeamId, Error> {
    TEAM.parse().map_err(|error| Error::internal(format!("{error}")))
}

/// Opens the demo team with a plan, unless it is there from an earlier run.
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

/// Tokens and requests to copy into a shell.
///
/// # Errors
/// [`Error::Internal`], [`Error::Busy`].
pub async fn first_steps(app: &App, url: &str) -> Result<String, Error> {
    let pool = app.store.pool_current(&team()?, app.clock.now()).await?;
    let cycle = pool.terms.cycle;
    let refill = cycle.map_or_else(|| app.clock.now(), |cycle| Time::start_of(cycle.end));
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
    Ok(FIRST_STEPS
        .replace("{url}", url)
        .replace("{refill}", &refill.to_string())
        .replace("{admin}", &sign(person("ada", "admin"))?)
        .replace("{member}", &sign(person("max", "member"))?)
        .replace("{pipeline}", &sign(machine("pipeline", "credits:charge"))?)
        .replace("{billing}", &sign(machine("billing", "credits:manage"))?))
}

const FIRST_STEPS: &str = r#"
# Tokens: two people of the team "demo", the enrichment pipeline, the product's billing.
export URL={url}
export ADMIN={admin}
export MEMBER={member}
export PIPELINE={pipeline}
export BILLING={billing}

# Charge 5 credits for an email that was found; the same again is a replay and costs nothing.
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: first' -d '{"action":"email_finder","outcome":"deliverable"}'
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: first' -d '{"action":"email_finder","outcome":"deliverable"}'

# More than the team has: 402, and nothing is taken.
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: phones' -d '{"action":"phone_finder","outcome":"valid","quantity":100}'

# Only an admin can buy.
curl -iw '\n' $URL/teams/demo/purchases -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: order' -d '{"credits":5000}'
curl -iw '\n' $URL/teams/demo/purchases -H "authorization: Bearer $ADMIN" -H 'content-type: application/json' -H 'idempotency-key: order' -d '{"credits":5000}'

# What the team has, and how it came to that.
curl -iw '\n' $URL/teams/demo/credits -H "authorization: Bearer $MEMBER"
curl -iw '\n' $URL/teams/demo/history -H "authorization: Bearer $MEMBER"

# A month later: the free credits are reset, the purchased ones stay.
curl -iw '\n' -X PUT $URL/dev/clock -H 'content-type: application/json' -d '{"now":"{refill}"}'
curl -iw '\n' -X POST $URL/dev/schedule
curl -iw '\n' $URL/teams/demo/credits -H "authorization: Bearer $MEMBER"
"#;
