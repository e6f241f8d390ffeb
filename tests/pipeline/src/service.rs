//! A client of the credits service for one team.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::problem::{HOLD_CLOSED, Problem};
use crate::providers::Action;

/// Lifetime of a hold: one day, so a killed run can be continued.
const HOLD_SECONDS: u32 = 24 * 60 * 60;

/// Retries of a request.
const RETRIES_MAX: u32 = 6;

/// Timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The header of the idempotency key.
const KEY: &str = "idempotency-key";

/// The service for one team.
#[derive(Debug)]
pub struct Service {
    http: Client,
    team: String,
    token: String,
}

/// The work of a run: each action once for each lead.
#[derive(Debug, Serialize)]
pub struct Work {
    /// The number of leads.
    pub leads: usize,
    /// The actions.
    pub actions: BTreeSet<Action>,
}

/// The cost of work, in credits.
#[derive(Debug, Deserialize)]
pub struct Estimate {
    /// The cost if every lead succeeds.
    pub maximum: u64,
    /// The cost by the team's own hit rates.
    pub expected: u64,
    /// The credits that the team can spend.
    pub balance: u64,
    /// Whether the balance covers the maximum.
    pub affordable: bool,
}

/// A hold, in credits.
#[derive(Clone, Debug, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// The credits that the hold was taken for.
    pub credits: u64,
    /// The credits that were captured.
    pub captured: u64,
    /// `open`, `released` or `expired`.
    pub status: String,
}

/// Pauses between retries: full jitter, up to 100 ms at first and twice as long per retry.
pub fn pauses() -> impl Iterator<Item = Duration> {
    (0..RETRIES_MAX).map(|retry| {
        let longest = 100_u64.saturating_mul(2_u64.saturating_pow(retry));
        Duration::from_millis(fastrand::u64(..=longest))
    })
}

impl Service {
    /// Returns a client of the service at `url` for a team.
    ///
    /// # Errors
    /// The errors of the HTTP client.
    pub fn new(url: &str, team: &str, token: &str) -> Result<Self, Failure> {
        let http = Client::builder().timeout(REQUEST_TIMEOUT).build()?;
        let team = format!("{}/teams/{team}", url.trim_end_matches('/'));
        Ok(Self { http, team, token: token.to_owned() })
    }

    /// Returns the cost of work.
    ///
    /// # Errors
    /// The errors of [`Service::send`].
    pub async fn estimate(&self, work: &Work) -> Result<Estimate, Failure> {
        self.send(|| self.post("estimates").json(work)).await
    }

    /// Takes a hold of the maximum cost of a job. For the same job it returns the first answer again.
    ///
    /// # Errors
    /// [`Failure::NotAffordable`], and the errors of [`Service::send`].
    pub async fn hold(&self, job: &str, work: &Work) -> Result<Hold, Failure> {
        let Work { leads, actions } = work;
        let body = json!({
            "leads": leads, "actions": actions, "expires_in": HOLD_SECONDS, "reference": job,
        });
        let request = || self.post("holds").header(KEY, format!("{job}/hold")).json(&body);
        match self.send::<Held>(request).await {
            Err(Failure::Refused(problem)) if problem.status == 402 => {
                // The refusal is reported even if the estimates fail.
                let cheaper = self.cheaper(work).await.unwrap_or_default();
                Err(Failure::NotAffordable { problem, cheaper })
            }
            held => held.map(|held| held.hold),
        }
    }

    /// Returns the actions that the balance covers for these leads, each alone, with their maximum cost.
    async fn cheaper(&self, work: &Work) -> Result<Vec<(Action, u64)>, Failure> {
        let mut cheaper = Vec::new();
        for action in Action::all() {
            let alone = Work { leads: work.leads, actions: BTreeSet::from([action]) };
            let Estimate { maximum, affordable, .. } = self.estimate(&alone).await?;
            if affordable {
                cheaper.push((action, maximum));
            }
        }
        Ok(cheaper)
    }

    /// Releases the hold of a job, if it is open. Returns the closed hold.
    ///
    /// # Errors
    /// The errors of [`Service::send`].
    pub async fn release(&self, job: &str, hold: &Hold) -> Result<Hold, Failure> {
        let path = format!("holds/{}", hold.id);
        let release = format!("{path}/release");
        match self.send::<Held>(|| self.post(&release).header(KEY, format!("{job}/release"))).await
        {
            Err(Failure::Refused(problem)) if problem.kind == HOLD_CLOSED => {
                self.send::<Held>(|| self.get(&path)).await.map(|held| held.hold)
            }
            released => released.map(|held| held.hold),
        }
    }

    /// Returns the credits that the team can spend.
    ///
    /// # Errors
    /// The errors of [`Service::send`].
    pub async fn balance(&self) -> Result<u64, Failure> {
        self.send::<Balance>(|| self.get("credits")).await.map(|balance| balance.credits.total)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/{path}", self.team)).bearer_auth(&self.token)
    }

    /// Returns a POST request for a path of the team.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}/{path}", self.team)).bearer_auth(&self.token)
    }

    /// Sends a request, and retries it while the service is busy or does not answer.
    ///
    /// # Errors
    /// [`Failure::Refused`], [`Failure::NoAnswer`], [`Failure::Unreadable`].
    pub async fn send<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, Failure> {
        let mut pauses = pauses();
        loop {
            let failure = match once(request()).await {
                Err(failure) if failure.is_transient() => failure,
                done => return done,
            };
            let Some(pause) = pauses.next() else { return Err(failure) };
            sleep(failure.retry_after().saturating_add(pause)).await;
        }
    }
}

async fn once<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Failure> {
    let response = request.send().await?;
    if response.status().is_success() {
        Ok(serde_json::from_slice(&response.bytes().await?)?)
    } else {
        Err(Failure::Refused(Problem::of(response).await?))
    }
}

#[derive(Deserialize)]
struct Held {
    hold: Hold,
}

#[derive(Deserialize)]
struct Balance {
    credits: Credits,
}

#[derive(Deserialize)]
struct Credits {
    total: u64,
}
