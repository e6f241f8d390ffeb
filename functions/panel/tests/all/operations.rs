//! The table of operations.

use balance::{CatalogueQuery, EstimateRequest, HistoryPage, HistoryQuery, UsageQuery};
use charge::{ChargeBatch, ChargeBatchResults};
use hold::{HoldPage, ListQuery};
use purchase::PurchaseRequest;
use shared::domain::charge::ChargeRequest;
use shared::domain::hold::HoldRequest;
use shared::domain::limits::{
    BATCH_CHARGES_MAX, GIFT_CREDITS_MAX, HOLD_CREDITS_MAX, HOLD_SECONDS_MAX, INCLUDED_CREDITS_MAX,
    LEADS_MAX, OPEN_HOLDS_MAX, PURCHASE_CREDITS_MAX, QUANTITY_MAX, SEATS_MAX,
};
use shared::domain::purchase::GiftRequest;
use shared::domain::settings::SettingsRequest;
use shared::domain::subscription::SubscriptionRequest;
use shared::http::pages::LIMIT_MAX;
use shared::http::views::balance::{BalanceView, ClosedView, TeamCreditsView};
use shared::http::views::catalogue::{PlanListView, PriceListView, PurchaseOptionsView};
use shared::http::views::charge::ChargeView;
use shared::http::views::enrichment::RestartView;
use shared::http::views::entry::EntryView;
use shared::http::views::estimate::EstimateView;
use shared::http::views::health::HealthView;
use shared::http::views::hold::HoldView;
use shared::http::views::monitored_account::MonitoredAccountView;
use shared::http::views::purchase::PurchaseView;
use shared::http::views::settings::SettingsView;
use shared::http::views::subscription::SubscriptionView;
use shared::http::views::usage::{CycleListView, UsageView};
use shared::lambda::allowance::FREE_REQUESTS_PER_MINUTE;
use team::{CancelQuery, CloseQuery};

use crate::operation::{Body, Callers, Operation, shape};

pub fn operations() -> Vec<Operation> {
    let groups =
        [charges(), holds(), balance(), catalogue(), purchases(), teams(), settings(), contract()];
    groups.into_iter().flatten().collect()
}

fn charges() -> Vec<Operation> {
    let charge = Body::Named("charge", shape::<ChargeView>());
    let allowance = format!(
        "A person may send {FREE_REQUESTS_PER_MINUTE} charges a minute that cost 0 credits, then \
         429. Machine clients have no such limit."
    );
    vec![
        Operation::new("post", "/teams/{team}/charges", "createCharge", Callers::Charge, "Charge an action")
            .remark("Charges an action by its outcome. An outcome that is not charged is recorded with 0 credits. With `hold`, the hold pays instead of the pool.")
            .remark(format!("The quantity is 1 to {QUANTITY_MAX}. Only a machine client may name another `user`. {allowance}"))
            .keyed()
            .body::<ChargeRequest>()
            .created(&charge)
            .problems(&["insufficient-credits", "not-found", "account-closed", "enrichment-paused", "hold-closed", "busy 429"])
            .stored(),
        Operation::new("post", "/teams/{team}/charges/batch", "createChargeBatch", Callers::Charge, "Charge a batch of actions")
            .remark("Answers each charge as if it were sent on its own, in this order. A refused charge does not affect the others; its result has the problem.")
            .remark(format!("1 to {BATCH_CHARGES_MAX} charges. {allowance} The limit holds for each charge, so the status is 200 and the headers are those of 429."))
            .body::<ChargeBatch>()
            .answer(200, "The result of each charge.", Body::Json(shape::<ChargeBatchResults>())),
        Operation::new("post", "/teams/{team}/estimates", "estimateRun", Callers::Read, "Estimate a run")
            .remark("The cost of actions on a number of leads before they are started.")
            .remark(format!("1 to {LEADS_MAX} leads."))
            .body::<EstimateRequest>()
            .answer(200, "The estimate.", Body::Json(shape::<EstimateView>()))
            .problems(&["not-found"])
            .stored(),
    ]
}

fn holds() -> Vec<Operation> {
    let hold = Body::Named("hold", shape::<HoldView>());
    vec![
        Operation::new("post", "/teams/{team}/holds", "takeHold", Callers::Charge, "Reserve credits")
            .remark("Takes credits out of the balance for a job: an amount, or the maximum cost of `actions` on `leads` (default 1). What is not captured returns when the hold is released or expires.")
            .remark(format!("1 to {HOLD_CREDITS_MAX} credits, 1 to {LEADS_MAX} leads, 1 to {HOLD_SECONDS_MAX} seconds; at most {OPEN_HOLDS_MAX} open holds of a team. A person may take {FREE_REQUESTS_PER_MINUTE} holds a minute, then 429."))
            .keyed()
            .body::<HoldRequest>()
            .created(&hold)
            .problems(&["insufficient-credits", "not-found", "account-closed", "too-many-holds", "busy 429"])
            .stored(),
        Operation::new("get", "/teams/{team}/holds", "listHolds", Callers::Read, "List open holds")
            .remark(format!("Newest first, in pages of at most {LIMIT_MAX}."))
            .query::<ListQuery>()
            .answer(200, "A page of open holds.", Body::Json(shape::<HoldPage>()))
            .problems(&["not-found"])
            .stored(),
        Operation::new("get", "/teams/{team}/holds/{hold}", "readHold", Callers::Read, "Read a hold")
            .answer(200, "The hold.", hold.clone())
            .problems(&["not-found"])
            .stored(),
        Operation::new("post", "/teams/{team}/holds/{hold}/release", "releaseHold", Callers::Charge, "Release a hold")
            .remark("Returns the remaining credits of a hold to the balance.")
            .remark("Machine clients may release every hold. A hold of a person may also be released by that person and by admins.")
            .keyed()
            .answer(200, "The released hold. A replay has the header `Idempotent-Replayed`.", hold)
            .problems(&["not-found", "hold-closed"])
            .stored(),
    ]
}

fn balance() -> Vec<Operation> {
    vec![
        Operation::new("get", "/teams/{team}/credits", "readBalance", Callers::Read, "Read the balance")
            .answer(200, "The balance.", Body::Json(shape::<BalanceView>()))
            .problems(&["not-found"])
            .stored(),
        Operation::new("get", "/team/credits", "readOwnCredits", Callers::Person, "Read the credits of the caller's team")
            .remark("In the shape of lemlist's public API.")
            .answer(200, "The credits.", Body::Json(shape::<TeamCreditsView>()))
            .problems(&["not-found"])
            .stored(),
        Operation::new("get", "/teams/{team}/history", "listHistory", Callers::Read, "List the history")
            .remark("All entries of the team's ledger, newest first. Entries of one instant have a fixed order. A page with a filter may be short while `cursor` is set. An entry may appear a moment after it was written.")
            .remark(format!("A page has at most {LIMIT_MAX} entries. With `Accept: text/csv` the answer is the whole selection as one file, or 413 if it would be too large; a file is never truncated."))
            .query::<HistoryQuery>()
            .answer(200, "A page of entries, or a file.", Body::JsonOrCsv(shape::<HistoryPage>()))
            .problems(&["not-found", "too-large"])
            .stored(),
        Operation::new("get", "/teams/{team}/usage", "readUsage", Callers::Read, "Read the usage of a cycle")
            .remark("The current cycle by action with a forecast; a past cycle with `cycle`; the cycles with `list=true`.")
            .query::<UsageQuery>()
            .answer(200, "The usage of a cycle, or the list of cycles.", Body::OneOf(vec![shape::<UsageView>(), shape::<CycleListView>()]))
            .problems(&["not-found"])
            .stored(),
    ]
}

fn catalogue() -> Vec<Operation> {
    vec![
        Operation::new("get", "/prices", "listPrices", Callers::Anyone, "List the prices")
            .query::<CatalogueQuery>()
            .cacheable("The prices in force.", Body::Json(shape::<PriceListView<'_>>())),
        Operation::new("get", "/plans", "listPlans", Callers::Anyone, "List the plans")
            .query::<CatalogueQuery>()
            .cacheable("The plans in force.", Body::Json(shape::<PlanListView<'_>>())),
        Operation::new(
            "get",
            "/purchase-options",
            "readPurchaseOptions",
            Callers::AnyToken,
            "Read the price of credits",
        )
        .answer(
            200,
            "The price, and the amounts that can be bought.",
            Body::Json(shape::<PurchaseOptionsView>()),
        ),
    ]
}

fn purchases() -> Vec<Operation> {
    let purchase = Body::Named("purchase", shape::<PurchaseView>());
    vec![
        Operation::new("post", "/teams/{team}/purchases", "buyCredits", Callers::Admin, "Buy credits")
            .remark("Purchased credits do not lapse. A replay of a pending purchase continues it and answers its present state. A failed payment keeps its key.")
            .remark(format!("The minimum and the maximum of `GET /purchase-options`, at most {PURCHASE_CREDITS_MAX} credits."))
            .keyed()
            .body::<PurchaseRequest>()
            .created(&purchase)
            .answer(202, "Pending: the payment needs the step of the customer in `next_action`.", purchase.clone())
            .problems(&["payment-failed", "not-found", "account-closed"])
            .stored(),
        Operation::new("get", "/teams/{team}/purchases/{id}", "readPurchase", Callers::Read, "Read a purchase")
            .answer(200, "The purchase.", purchase)
            .problems(&["not-found"])
            .stored(),
        Operation::new("post", "/teams/{team}/purchases/{id}/refund", "refundPurchase", Callers::Team, "Ask for a refund")
            .remark("Always 403 with the rule: purchased credits are not refunded."),
    ]
}

fn teams() -> Vec<Operation> {
    let gift = Body::Named("gift", shape::<EntryView>());
    let subscription = || Body::Json(shape::<SubscriptionView>());
    let account = || Body::Named("account", shape::<MonitoredAccountView>());
    vec![
        Operation::new("get", "/teams/{team}/subscription", "readSubscription", Callers::Read, "Read the subscription")
            .answer(200, "The subscription.", subscription())
            .problems(&["not-found"])
            .stored(),
        Operation::new("put", "/teams/{team}/subscription", "putSubscription", Callers::Manage, "Start or change the subscription")
            .remark("Opens the team's account if there is none. A start more than five minutes ahead is stored and begins then. A change with an older `version` than the newest one changes nothing.")
            .remark(format!("1 to {SEATS_MAX} seats, at most {INCLUDED_CREDITS_MAX} included credits."))
            .body::<SubscriptionRequest>()
            .answer(200, "The subscription.", subscription())
            .problems(&["account-closed"])
            .stored(),
        Operation::new("delete", "/teams/{team}/subscription", "cancelSubscription", Callers::Manage, "Cancel the subscription")
            .remark("The subscription ends with the current cycle.")
            .query::<CancelQuery>()
            .answer(200, "The subscription.", subscription())
            .problems(&["not-found", "account-closed"])
            .stored(),
        Operation::new("post", "/teams/{team}/gifts", "giveCredits", Callers::Manage, "Give credits")
            .remark(format!("1 to {GIFT_CREDITS_MAX} credits. They count as purchased ones and do not lapse."))
            .keyed()
            .body::<GiftRequest>()
            .created(&gift)
            .problems(&["not-found", "account-closed"])
            .stored(),
        Operation::new("get", "/teams/{team}/monitored-accounts", "listMonitoredAccounts", Callers::Read, "List monitored accounts")
            .remark("The active and the paused accounts.")
            .answer(200, "The accounts.", Body::NamedList("accounts", shape::<MonitoredAccountView>()))
            .problems(&["not-found", "account-closed"])
            .stored(),
        Operation::new("put", "/teams/{team}/monitored-accounts/{account}", "addMonitoredAccount", Callers::AdminOrManage, "Monitor an account")
            .remark("Charges a month of the account, unless it is paid. Each further month is charged when it is due.")
            .answer(200, "The account.", account())
            .problems(&["insufficient-credits", "not-found", "account-closed", "enrichment-paused"])
            .stored(),
        Operation::new("delete", "/teams/{team}/monitored-accounts/{account}", "removeMonitoredAccount", Callers::AdminOrManage, "Stop monitoring an account")
            .answer(200, "The account.", account())
            .problems(&["not-found", "account-closed"])
            .stored(),
        Operation::new("delete", "/teams/{team}", "closeAccount", Callers::Manage, "Close the account")
            .remark("The account is closed for good.")
            .query::<CloseQuery>()
            .answer(200, "The account is closed.", Body::Json(shape::<ClosedView>()))
            .problems(&["not-found"])
            .stored(),
    ]
}

fn settings() -> Vec<Operation> {
    let settings = || Body::Json(shape::<SettingsView>());
    vec![
        Operation::new("get", "/teams/{team}/settings", "readSettings", Callers::Read, "Read the settings")
            .answer(200, "The settings.", settings())
            .problems(&["not-found"])
            .stored(),
        Operation::new("put", "/teams/{team}/settings", "putSettings", Callers::Admin, "Replace the settings")
            .remark("Requires both fields. Null turns one off. It also permits automatic top-ups again after a failed payment.")
            .body::<SettingsRequest>()
            .answer(200, "The settings.", settings())
            .problems(&["not-found", "account-closed"])
            .stored(),
        Operation::new("patch", "/teams/{team}/settings", "changeSettings", Callers::Admin, "Change some settings")
            .remark("Changes the fields that the request has. Null turns one off.")
            .body::<SettingsRequest>()
            .answer(200, "The settings.", settings())
            .problems(&["not-found", "account-closed"])
            .stored(),
        Operation::new("post", "/teams/{team}/enrichment/restart", "restartEnrichment", Callers::Restart, "Restart enrichment")
            .remark("Restarts enrichment after a refusal has paused it, and resumes the paused monitored accounts that the credits cover.")
            .answer(200, "Enrichment runs.", Body::Json(shape::<RestartView>()))
            .problems(&["insufficient-credits", "not-found", "account-closed", "nothing-to-restart"])
            .stored(),
    ]
}

fn contract() -> Vec<Operation> {
    vec![
        Operation::new(
            "get",
            "/openapi.json",
            "readContract",
            Callers::Anyone,
            "Read this document",
        )
        .cacheable("The OpenAPI document.", Body::Object),
        Operation::new("get", "/docs", "readDocs", Callers::Anyone, "Read the reference page")
            .cacheable("The page.", Body::Html),
        Operation::new(
            "get",
            "/problems/{type}",
            "readProblemType",
            Callers::Anyone,
            "Find a problem type",
        )
        .answer_with(303, "The section of the reference page.", &["Location"], Body::None)
        .problems(&["not-found"]),
        Operation::new("get", "/health", "readHealth", Callers::Anyone, "Check the API")
            .remark("Answers if API Gateway and a function run. It reads no table.")
            .answer(200, "The API answers.", Body::Json(shape::<HealthView>())),
    ]
}
