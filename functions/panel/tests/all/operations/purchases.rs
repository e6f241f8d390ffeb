//! Purchases.

use purchase::PurchaseRequest;
use shared::domain::Error;
use shared::domain::limits::{POOL_CREDITS_MAX, PURCHASE_CREDITS_MAX};
use shared::http::views::purchase::PurchaseView;

use crate::operation::{Body, Callers, Operation, shape};
use crate::operations::purchase_limits;

pub fn purchases() -> Vec<Operation> {
    let purchase = Body::Named("purchase", shape::<PurchaseView>());
    vec![
        Operation::post("/teams/{team}/purchases", "buyCredits", Callers::Admin)
            .summary("Buy credits")
            .remark(
                "Purchased credits do not lapse. A replay of a pending purchase continues it and \
                 answers its present state. A failed payment keeps its key.",
            )
            .remark(format!(
                "The credits have {}, and are at most {PURCHASE_CREDITS_MAX}. A team with more than \
                 {POOL_CREDITS_MAX} credits cannot buy any.",
                purchase_limits()
            ))
            .keyed()
            .body::<PurchaseRequest>()
            .created(&purchase)
            .link("readPurchase", &[("id", "$response.body#/purchase/id")])
            .link("refundPurchase", &[("id", "$response.body#/purchase/id")])
            .answer(
                202,
                "Pending: the payment needs the step of the customer in `next_action`.",
                purchase.clone(),
            )
            .problems(&["payment-failed", "not-found", "account-closed"])
            .stored(),
        Operation::get("/teams/{team}/purchases/{id}", "readPurchase", Callers::Read)
            .summary("Read a purchase")
            .answer(200, "The purchase.", purchase)
            .problems(&["not-found"])
            .stored(),
        Operation::post("/teams/{team}/purchases/{id}/refund", "refundPurchase", Callers::Team)
            .summary("Ask for a refund")
            .remark("Always 403 with the rule: purchased credits are not refunded.")
            .problem_example(&Error::Forbidden(
                "Purchased credits are not refunded; they stay usable as long as the account \
                 exists.",
            )),
    ]
}
