//! The credits service, as one team's pipeline uses it.

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

/// How long a hold lasts, in seconds: a day, so that a run that was killed can be taken up again.
const HOLD_SECONDS: u32 = 24 * 60 * 60;

/// How often a request is sent again.
const RETRIES: u32 = 6;

/// How long an answer may take.
const RETRY_TIME: Duration = Duration::from_secs(30);

/// The header of the idempotency key.
const KEY: &str = "idempotency-key";

/// The service for one team.
#[derive(Debug)]
pub struct Service {
    http: Client,
    team: String,
    token: String,
}

/// What a run is going to do: each action for so many leads.
#[derive(Debug, Serialize)]
pub struct Work {
    /// The leads.
    pub leads: usize,
    /// The actions.
    pub actions: BTreeSet<Action>,
}

/// What a run may cost.
#[derive(Debug, Deserialize)]
pub struct Estimate {
    /// Credits, if every lead succeeds.
    pub maximum: u64,
    /// Credits, by the team's own hit rates.
    pub expected: u64,
    /// What the team can spend.
    pub balance: u64,
}

/// Credits that are reserved.
#[derive(Clone, Debug, Deserialize)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// The credits that were reserved.
    pub credits: u64,
    /// The credits that were charged to it.
    pub captured: u64,
    /// Whether it is open, released or expired.
    pub status: String,
}

/// Pauses between tries: each at random up to a length that doubles, from 100 ms on, so that many
/// clients do not come back at once.
pub fn pauses() -> impl Iterator<Item = Duration> {
    (0..RETRIES).map(|retry| {
        let longest = 100_u64.saturating_mul(2_u64.saturating_pow(retry));
        Duration::from_millis(fastrand::u64(..=longest))
    })
}

impl Service {
    /// The service at `url`, for a team.
    ///
    /// # Errors
    /// Those of the HTTP client's set-up.
    pub fn new(url: &str, team: &str, token: &str) -> Result<Self, Failure> {
        let http = Client::builder().timeout(RETRY_TIME).build()?;
        let team = format!("{}/teams/{team}", url.trim_end_matches('/'));
        Ok(Self { http, team, token: token.to_owned() })
    }

    /// What a run may cost.
    ///
    /// # Errors
    /// Those of [`Service::send`].
    pub async fn estimate(&self, work: &Work) -> Result<Estimate, Failure> {
        self.send(|| self.post("estimates").json(work)).await
    }

    /// Reserves what a job costs at most. The same job is answered with the same hold, as it was in
    /// the beginning.
    ///
    /// # Errors
    /// [`Failure::NotAffordable`], and those of [`Service::send`].
    pub async fn hold(&self, job: &str, work: &Work) -> Result<Hold, Failure> {
        let Work { leads, actions } = work;
        let body = json!({
            "leads": leads, "actions": actions, "expires_in": HOLD_SECONDS, "reference": job,
        });
        let request = || self.post("holds").header(KEY, format!("{job}/hold")).json(&body);
        match self.send::<Held>(request).await {
            Err(Failure::Refused(problem)) if problem.status == 402 => {
                Err(Failure::NotAffordable(problem))
            }
            held => held.map(|held| held.hold),
        }
    }

    /// Gives back what is left of a job's hold; one that has expired was given back by itself. The
    /// hold after it.
    ///
    /// # Errors
    /// Those of [`Service::send`].
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

    /// What the team can spend.
    ///
    /// # Errors
    /// Those of [`Service::send`].
    pub async fn balance(&self) -> Result<u64, Failure> {
        self.send::<Balance>(|| self.get("credits")).await.map(|balance| balance.credits.total)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/{path}", self.team)).bearer_auth(&self.token)
    }

    /// A request to do something for the team.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}/{path}", self.team)).bearer_auth(&self.token)
    }

    /// Sends a request, and again as long as the service is busy or does not answer.
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
