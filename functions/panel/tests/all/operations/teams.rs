//! Subscriptions, gifts, monitored accounts and settings.

use shared::domain::limits::{GIFT_CREDITS_MAX, INCLUDED_CREDITS_MAX, POOL_CREDITS_MAX, SEATS_MAX};
use shared::domain::purchase::GiftRequest;
use shared::domain::settings::{SETTING_CREDITS_MAX, SettingsRequest};
use shared::domain::subscription::SubscriptionRequest;
use shared::http::views::balance::ClosedView;
use shared::http::views::enrichment::RestartView;
use shared::http::views::entry::EntryView;
use shared::http::views::monitored_account::MonitoredAccountView;
use shared::http::views::settings::SettingsView;
use shared::http::views::subscription::SubscriptionView;
use team::{CancelQuery, CloseQuery};

use crate::operation::{Body, Callers, Operation, shape};
use crate::operations::purchase_limits;

pub fn subscriptions() -> Vec<Operation> {
    let subscription = || Body::Json(shape::<SubscriptionView>());
    vec![
        Operation::get("/teams/{team}/subscription", "readSubscription", Callers::Read)
            .summary("Read the subscription")
            .answer(200, "The subscription.", subscription())
            .stored(),
        Operation::put("/teams/{team}/subscription", "putSubscription", Callers::Manage)
            .summary("Start or change the subscription")
            .remark(
                "Opens the team's account if there is none. A start more than five minutes ahead \
                 is stored and begins then. A change with an older `version` than the newest one \
                 changes nothing.",
            )
            .remark(format!(
                "1 to {SEATS_MAX} seats, at most {INCLUDED_CREDITS_MAX} included credits."
            ))
            .body::<SubscriptionRequest>()
            .link("readSubscription", &[])
            .answer(200, "The subscription.", subscription())
            .problems(&["account-closed"])
            .stored(),
        Operation::delete("/teams/{team}/subscription", "cancelSubscription", Callers::Manage)
            .summary("Cancel the subscription")
            .remark("The subscription ends with the current cycle.")
            .query::<CancelQuery>()
            .answer(200, "The subscription.", subscription())
            .problems(&["account-closed"])
            .stored(),
    ]
}

pub fn accounts() -> Vec<Operation> {
    let gift = Body::Named("gift", shape::<EntryView>());
    vec![
        Operation::post("/teams/{team}/gifts", "giveCredits", Callers::Manage)
            .summary("Give credits")
            .remark(format!(
                "1 to {GIFT_CREDITS_MAX} credits. They count as purchased ones and do not lapse. A \
                 team with more than {POOL_CREDITS_MAX} credits cannot get any."
            ))
            .keyed()
            .body::<GiftRequest>()
            .created(&gift)
            .link("listHistory", &[("key", "$request.header.Idempotency-Key")])
            .problems(&["account-closed"])
            .stored(),
        Operation::delete("/teams/{team}", "closeAccount", Callers::Manage)
            .summary("Close the account")
            .remark("The account is closed for good.")
            .query::<CloseQuery>()
            .answer(200, "The account is closed.", Body::Json(shape::<ClosedView>()))
            .stored(),
    ]
}

pub fn monitored_accounts() -> Vec<Operation> {
    let account = || Body::Named("account", shape::<MonitoredAccountView>());
    vec![
        Operation::get("/teams/{team}/monitored-accounts", "listMonitoredAccounts", Callers::Read)
            .summary("List monitored accounts")
            .remark("The active and the paused accounts.")
            .answer(
                200,
                "The accounts.",
                Body::NamedList("accounts", shape::<MonitoredAccountView>()),
            )
            .stored(),
        Operation::put(
            "/teams/{team}/monitored-accounts/{account}",
            "addMonitoredAccount",
            Callers::AdminOrManage,
        )
        .summary("Monitor an account")
        .remark(
            "Charges a month of the account, unless it is paid. Each further month is \
                 charged when it is due.",
        )
        .answer(200, "The account.", account())
        .link("removeMonitoredAccount", &[("account", "$request.path.account")])
        .problems(&["insufficient-credits", "account-closed", "enrichment-paused"])
        .stored(),
        Operation::delete(
            "/teams/{team}/monitored-accounts/{account}",
            "removeMonitoredAccount",
            Callers::AdminOrManage,
        )
        .summary("Stop monitoring an account")
        .answer(200, "The account.", account())
        .problems(&["account-closed"])
        .stored(),
    ]
}

pub fn settings() -> Vec<Operation> {
    let settings = || Body::Json(shape::<SettingsView>());
    let limits = format!(
        "`low_balance_threshold` is 0 to {SETTING_CREDITS_MAX}; 0 turns it off. `auto_top_up.below` \
         is 1 to {SETTING_CREDITS_MAX}. `auto_top_up.credits` has {}. `auto_top_up.monthly_limit` is \
         at least `auto_top_up.credits`, at most {SETTING_CREDITS_MAX}.",
        purchase_limits()
    );
    vec![
        Operation::get("/teams/{team}/settings", "readSettings", Callers::Read)
            .summary("Read the settings")
            .answer(200, "The settings.", settings())
            .stored(),
        Operation::put("/teams/{team}/settings", "putSettings", Callers::Admin)
            .summary("Replace the settings")
            .remark(
                "Requires both fields. Null turns one off. It also permits automatic top-ups \
                 again after a failed payment.",
            )
            .remark(limits.clone())
            .body_named::<SettingsRequest>("SettingsReplacement")
            .answer(200, "The settings.", settings())
            .problems(&["account-closed"])
            .stored(),
        Operation::patch("/teams/{team}/settings", "changeSettings", Callers::Admin)
            .summary("Change some settings")
            .remark("Changes the fields that the request has. Null turns one off.")
            .remark(limits)
            .body::<SettingsRequest>()
            .answer(200, "The settings.", settings())
            .problems(&["account-closed"])
            .stored(),
        Operation::post("/teams/{team}/enrichment/restart", "restartEnrichment", Callers::Restart)
            .summary("Restart enrichment")
            .remark(
                "Restarts enrichment after a refusal has paused it, and resumes the paused \
                 monitored accounts that the credits cover.",
            )
            .answer(200, "Enrichment runs.", Body::Json(shape::<RestartView>()))
            .problems(&["insufficient-credits", "account-closed", "nothing-to-restart"])
            .stored(),
    ]
}
