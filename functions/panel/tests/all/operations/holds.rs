//! Holds.

use hold::{HoldPage, ListQuery};
use shared::domain::hold::HoldRequest;
use shared::domain::limits::{HOLD_CREDITS_MAX, HOLD_SECONDS_MAX, LEADS_MAX, OPEN_HOLDS_MAX};
use shared::http::pages::LIMIT_MAX;
use shared::http::views::hold::HoldView;
use shared::lambda::allowance::FREE_REQUESTS_PER_MINUTE;

use crate::operation::{Body, Callers, Operation, shape};

pub fn holds() -> Vec<Operation> {
    let hold = Body::Named("hold", shape::<HoldView>());
    vec![
        Operation::post("/teams/{team}/holds", "takeHold", Callers::Charge)
            .summary("Reserve credits")
            .remark(
                "Takes credits out of the balance for a job: an amount, or the maximum cost of \
                 `actions` on `leads` (default 1). What is not captured returns when the hold is \
                 released or expires.",
            )
            .remark(format!(
                "1 to {HOLD_CREDITS_MAX} credits, 1 to {LEADS_MAX} leads, 1 to \
                 {HOLD_SECONDS_MAX} seconds; at most {OPEN_HOLDS_MAX} open holds of a team. A \
                 person may take {FREE_REQUESTS_PER_MINUTE} holds a minute, then 429."
            ))
            .keyed()
            .body::<HoldRequest>()
            .created(&hold)
            .link("readHold", &[("hold", "$response.body#/hold/id")])
            .link("releaseHold", &[("hold", "$response.body#/hold/id")])
            .problems(&["insufficient-credits", "account-closed", "too-many-holds", "busy 429"])
            .stored(),
        Operation::get("/teams/{team}/holds", "listHolds", Callers::Read)
            .summary("List open holds")
            .remark(format!("Newest first, in pages of at most {LIMIT_MAX}."))
            .query::<ListQuery>()
            .link("listHolds", &[("cursor", "$response.body#/cursor")])
            .answer(200, "A page of open holds.", Body::Json(shape::<HoldPage>()))
            .stored(),
        Operation::get("/teams/{team}/holds/{hold}", "readHold", Callers::Read)
            .summary("Read a hold")
            .answer(200, "The hold.", hold.clone())
            .stored(),
        Operation::post("/teams/{team}/holds/{hold}/release", "releaseHold", Callers::Charge)
            .summary("Release a hold")
            .remark("Returns the remaining credits of a hold to the balance.")
            .remark(
                "Machine clients may release every hold. A hold of a person may also be released \
                 by that person and by admins.",
            )
            .keyed()
            .answer(200, "The released hold. A replay has the header `Idempotent-Replayed`.", hold)
            .problems(&["hold-closed"])
            .stored(),
    ]
}
