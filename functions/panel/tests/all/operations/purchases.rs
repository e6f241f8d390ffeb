//! Purchases.

use purchase::{
    CardPage, PaymentMethod, PurchaseListPage, PurchaseListQuery, PurchaseRequest, Received,
    WebhookMessage,
};
use shared::domain::Error;
use shared::domain::limits::{POOL_CREDITS_MAX, PURCHASE_CREDITS_MAX};
use shared::domain::purchase::RecordedPurchaseRequest;
use shared::http::views::purchase::PurchaseView;

use crate::operation::{Body, Callers, Operation, shape};
use crate::operations::purchase_limits;

pub fn payment_methods() -> Vec<Operation> {
    vec![
        Operation::get("/teams/{team}/payment-method", "readPaymentMethod", Callers::Admin)
            .summary("Read the stored card")
            .answer(200, "The card.", Body::Json(shape::<PaymentMethod>()))
            .problems(&["payment-failed"])
            .stored(),
        Operation::post("/teams/{team}/payment-method", "changePaymentMethod", Callers::Admin)
            .summary("Store or change the card")
            .remark("Answers a page of the payment provider. The customer opens it soon.")
            .answer(201, "The page.", Body::Json(shape::<CardPage>()))
            .problems(&["payment-failed", "account-closed"])
            .stored(),
        Operation::post("/webhooks/stripe", "receiveStripe", Callers::Stripe)
            .summary("Receive a message of Stripe")
            .remark(
                "The message is a hint: the payment is retrieved from Stripe. Messages of other \
                 kinds are ignored.",
            )
            .body::<WebhookMessage>()
            .answer(200, "The message was handled or ignored.", Body::Json(shape::<Received>()))
            .stored(),
    ]
}

pub fn purchases() -> Vec<Operation> {
    let purchase = Body::Named("purchase", shape::<PurchaseView>());
    vec![
        Operation::post("/teams/{team}/purchases", "buyCredits", Callers::Admin)
            .summary("Buy credits")
            .remark(
                "Purchased credits do not lapse. A replay of a pending purchase continues it and \
                 answers its present state. A purchase that is not paid within a day fails. A \
                 failed payment keeps its key.",
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
            .problems(&["payment-failed", "account-closed"])
            .stored(),
        Operation::get("/teams/{team}/purchases", "listPurchases", Callers::Read)
            .summary("List the purchases")
            .remark("Newest first: pending, paid, failed, automatic and recorded ones.")
            .query::<PurchaseListQuery>()
            .link("listPurchases", &[("cursor", "$response.body#/cursor")])
            .answer(200, "A page of purchases.", Body::Json(shape::<PurchaseListPage>()))
            .stored(),
        Operation::post("/teams/{team}/purchases/recorded", "recordPurchase", Callers::Manage)
            .summary("Record a purchase that was paid elsewhere")
            .remark(format!(
                "By invoice, bank transfer or contract. At most {PURCHASE_CREDITS_MAX} credits, in \
                 the currency of `GET /purchase-options`. The credits are added at once."
            ))
            .keyed()
            .body::<RecordedPurchaseRequest>()
            .created(&purchase)
            .problems(&["account-closed"])
            .stored(),
        Operation::get("/teams/{team}/purchases/{id}", "readPurchase", Callers::Read)
            .summary("Read a purchase")
            .answer(200, "The purchase.", purchase)
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
