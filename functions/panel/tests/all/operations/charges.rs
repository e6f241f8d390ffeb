//! Charges and estimates.

use balance::EstimateRequest;
use charge::{ChargeBatch, ChargeBatchResults};
use shared::domain::charge::ChargeRequest;
use shared::domain::limits::{BATCH_CHARGES_MAX, LEADS_MAX, QUANTITY_MAX};
use shared::http::views::charge::ChargeView;
use shared::http::views::estimate::EstimateView;
use shared::lambda::allowance::FREE_REQUESTS_PER_MINUTE;

use crate::operation::{Body, Callers, Operation, shape};

pub fn charges() -> Vec<Operation> {
    let charge = Body::Named("charge", shape::<ChargeView>());
    let allowance = format!(
        "A person may send {FREE_REQUESTS_PER_MINUTE} charges a minute that cost 0 credits, then \
         429. Machine clients have no such limit."
    );
    vec![
        Operation::post("/teams/{team}/charges", "createCharge", Callers::Charge)
            .summary("Charge an action")
            .remark(
                "Charges an action by its outcome. An outcome that is not charged is recorded \
                 with 0 credits. With `hold`, the hold pays instead of the pool.",
            )
            .remark(format!(
                "The quantity is 1 to {QUANTITY_MAX}. Only a machine client may name another \
                 `user`. {allowance}"
            ))
            .keyed()
            .body::<ChargeRequest>()
            .created(&charge)
            .link("listHistory", &[("key", "$request.header.Idempotency-Key")])
            .problems(&[
                "insufficient-credits",
                "account-closed",
                "enrichment-paused",
                "hold-closed",
                "busy 429",
            ])
            .stored(),
        Operation::post("/teams/{team}/charges/batch", "createChargeBatch", Callers::Charge)
            .summary("Charge a batch of actions")
            .remark(
                "Answers each charge as if it were sent on its own, in this order. A refused \
                 charge does not affect the others; its result has the problem.",
            )
            .remark(format!(
                "1 to {BATCH_CHARGES_MAX} charges. {allowance} The limit holds for each charge, \
                 so the status is 200 and the headers are those of 429."
            ))
            .body::<ChargeBatch>()
            .answer(200, "The result of each charge.", Body::Json(shape::<ChargeBatchResults>())),
        Operation::post("/teams/{team}/estimates", "estimateRun", Callers::Read)
            .summary("Estimate a run")
            .remark("The cost of actions on a number of leads before they are started.")
            .remark(format!("1 to {LEADS_MAX} leads."))
            .body::<EstimateRequest>()
            .answer(200, "The estimate.", Body::Json(shape::<EstimateView>()))
            .stored(),
    ]
}
