//! Charges each result exactly once, in any number of runs.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::failure::Failure;
use crate::journal::Found;
use crate::problem::{HOLD_CLOSED, KEY_REUSED, Problem};
use crate::providers::Action;
use crate::service::{Hold, Service, pauses};

/// A charge request. All fields follow from the journal and the hold, so each run sends the same request.
#[derive(Clone, Debug, Serialize)]
struct Request {
    key: String,
    action: Action,
    outcome: String,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
}

/// A charge in the ledger.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// The action.
    pub action: Action,
    /// The cost.
    pub credits: u64,
    /// The hold that paid; `None` for the pool.
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
/// [`Failure::NotCharged`] for the first refused charge, and the errors of [`Service::send`].
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
    // Jobs and actions contain no slash, so no two leads share a key.
    let key = format!("{job}/{action}/{lead}");
    Request { key, action, outcome, reference: lead, hold: Some(hold.id.clone()) }
}

/// Returns the same charge to the pool, if the refusal calls for it.
///
/// Every run charges to the hold first: a captured result is a replay for the request with the hold
/// only. A closed hold refuses further captures, so their results go to the pool. A charge that an
/// earlier run made to the pool refuses the request with the hold as a reused key; the request without
/// the hold is then its replay.
fn without_hold(request: Request, problem: Problem) -> Result<Request, Failure> {
    let is_for_pool = [HOLD_CLOSED, KEY_REUSED].contains(&problem.kind.as_str());
    if request.hold.is_some() && is_for_pool {
        Ok(Request { hold: None, ..request })
    } else {
        Err(Failure::NotCharged { key: request.key, problem })
    }
}
