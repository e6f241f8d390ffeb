//! Charges what was found, each result exactly once, however often it is tried.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::journal::Found;
use crate::problem::{HOLD_CLOSED, KEY_REUSED, Problem};
use crate::providers::Action;
use crate::service::{Hold, Service, pauses};

/// A charge as it is asked for. Everything in it follows from the journal and the job's hold, so
/// that it is the same in every run.
#[derive(Clone, Debug, Serialize)]
struct Request {
    key: String,
    action: Action,
    outcome: String,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
}

/// A charge as the ledger has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// What was done.
    pub action: Action,
    /// What it cost.
    pub credits: u64,
    /// The hold that paid for it; otherwise it was the pool.
    pub hold: Option<String>,
}

#[derive(Deserialize)]
struct Answers {
    results: Vec<Answer>,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Answer {
    Charged { charge: Charge },
    Replayed { charge: Charge },
    Refused { problem: Problem },
}

/// Charges a batch of results to the hold, or to the pool where the hold is closed.
///
/// # Errors
/// [`Failure::NotCharged`] for the first one that is refused, and those of [`Service::send`].
pub async fn charge(
    service: &Service,
    hold: &Hold,
    found: Vec<Found>,
) -> Result<Vec<Charge>, Failure> {
    let mut charges = Vec::new();
    let mut pauses = pauses();
    let mut open: Vec<Request> = found.into_iter().map(|found| request(found, hold)).collect();
    while !open.is_empty() {
        let batch = json!({ "charges": open });
        let Answers { results } =
            service.send(|| service.post("charges/batch").json(&batch)).await?;
        if results.len() != open.len() {
            return Err(Failure::Unanswered { charges: open.len(), answers: results.len() });
        }
        let mut busy = None;
        let mut again = Vec::new();
        for (request, answer) in open.into_iter().zip(results) {
            match answer {
                Answer::Charged { charge } | Answer::Replayed { charge } => charges.push(charge),
                Answer::Refused { problem } if problem.is_busy() => {
                    again.push(request);
                    busy = Some(problem);
                }
                Answer::Refused { problem } => again.push(without_hold(request, problem)?),
            }
        }
        if let Some(problem) = busy {
            let Some(pause) = pauses.next() else { return Err(Failure::Refused(problem)) };
            sleep(pause).await;
        }
        open = again;
    }
    Ok(charges)
}

fn request(found: Found, hold: &Hold) -> Request {
    let Found { job, lead, action, outcome, .. } = found;
    // Neither a job nor an action has a slash in it, so no two leads share a key.
    let key = format!("{job}/{action}/{lead}");
    Request { key, action, outcome, reference: lead, hold: Some(hold.id.clone()) }
}

/// The same charge to the pool, if that is what the refusal asks for.
///
/// Every run asks for the hold first, because a result that was captured is answered as a replay for
/// ever, but only to the request that captured it. A hold that is closed captures nothing more, so
/// its results go to the pool. What an earlier run has charged to the pool answers the request for
/// the hold with a reused key. To ask without the hold is right then as well: the key is taken, so
/// it is either a replay or refused for good.
fn without_hold(request: Request, problem: Problem) -> Result<Request, Failure> {
    let is_for_pool = [HOLD_CLOSED, KEY_REUSED].contains(&problem.kind.as_str());
    if request.hold.is_some() && is_for_pool {
        Ok(Request { hold: None, ..request })
    } else {
        Err(Failure::NotCharged { key: request.key, problem })
    }
}
