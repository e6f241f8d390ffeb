//! The requests about Checkout sessions.

use serde_json::Value;

use crate::Account;
use crate::form::Form;
use crate::intent_requests::{checked_amount, future_usage};
use crate::page_state::PageStatus;
use crate::refusal::Refusal;
use crate::session::{Mode, NewSession, Session};

/// The parameters of a new session.
const CREATE: [&str; 28] = [
    "allow_promotion_codes",
    "automatic_tax[enabled]",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "currency",
    "custom_text",
    "customer",
    "customer_update",
    "expand",
    "expires_at",
    "invoice_creation[enabled]",
    "line_items[][price_data][currency]",
    "line_items[][price_data][product_data]",
    "line_items[][price_data][unit_amount]",
    "line_items[][quantity]",
    "locale",
    "metadata",
    "mode",
    "payment_intent_data[description]",
    "payment_intent_data[metadata]",
    "payment_intent_data[setup_future_usage]",
    "payment_intent_data[statement_descriptor_suffix]",
    "payment_method_types",
    "setup_intent_data",
    "submit_type",
    "success_url",
    "ui_mode",
];

/// The property of a session that can be expanded.
const INTENT: &str = "payment_intent";

/// The seconds after which a session expires at the earliest.
const LIFE_MIN: i64 = 1_800;

/// The seconds after which a session expires at the latest, and by default.
const LIFE_MAX: i64 = 86_400;

/// The line items of a session: their amount, currency and names.
struct Items {
    amount: u64,
    currency: String,
    names: Vec<String>,
}

impl Account {
    pub(crate) fn create_session(&mut self, form: Form<'_>, now: i64) -> Result<Value, Refusal> {
        form.check(&CREATE)?;
        let is_expanded = form.expands(INTENT, &[INTENT])?;
        form.one_of("ui_mode", &["hosted"])?;
        let mode = match form.one_of("mode", &["payment", "setup"])?.as_deref() {
            Some("payment") => Mode::Payment,
            Some(_) => Mode::Setup,
            None => return Err(Refusal::missing("mode")),
        };
        form.required("success_url")?;
        let customer = self.known_customer(form)?;
        let items = match mode {
            Mode::Payment => Some(items(form)?),
            Mode::Setup => {
                check_setup(form)?;
                None
            }
        };
        let currency = match &items {
            Some(items) => Some(items.currency.clone()),
            None => form.get("currency").map(|_| form.currency("currency")).transpose()?,
        };
        let new = NewSession {
            mode,
            customer,
            client_reference_id: form.text("client_reference_id"),
            amount: items.as_ref().map(|items| items.amount),
            currency,
            description: items.map(|items| items.names.join(", ")).unwrap_or_default(),
            success_url: form.url("success_url")?.unwrap_or_default(),
            cancel_url: form.url("cancel_url")?,
            expires_at: expires_at(form, now)?,
            metadata: form.metadata("metadata")?,
            intent_metadata: form.metadata("payment_intent_data[metadata]")?,
            intent_description: form.text("payment_intent_data[description]"),
            setup_future_usage: future_usage(form, "payment_intent_data[setup_future_usage]")?,
        };
        let id = self.sessions.add(|id| Session {
            id,
            new,
            created: now,
            status: PageStatus::Open,
            is_paid: false,
            intent: None,
            waiting: None,
        });
        Ok(self.session_json(&id, is_expanded))
    }

    pub(crate) fn retrieve_session(&self, id: &str, form: Form<'_>) -> Result<Value, Refusal> {
        form.check(&["expand"])?;
        let is_expanded = form.expands(INTENT, &[INTENT])?;
        self.known_session(id)?;
        Ok(self.session_json(id, is_expanded))
    }

    pub(crate) fn expire_by_request(
        &mut self,
        id: &str,
        form: Form<'_>,
        now: i64,
    ) -> Result<Value, Refusal> {
        form.check(&["expand"])?;
        let is_expanded = form.expands(INTENT, &[INTENT])?;
        let status = self.known_session(id)?.status;
        if status != PageStatus::Open {
            return Err(Refusal::state(format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a \
                 status of `{}`.",
                status.as_str()
            )));
        }
        self.expire_session(id, now);
        Ok(self.session_json(id, is_expanded))
    }

    fn known_session(&self, id: &str) -> Result<&Session, Refusal> {
        let unknown = || Refusal::unknown("checkout.session", id).with_param("session");
        self.sessions.get(id).ok_or_else(unknown)
    }
}

fn items(form: Form<'_>) -> Result<Items, Refusal> {
    let mut items = Items { amount: 0, currency: String::new(), names: Vec::new() };
    for number in 0_u32.. {
        let item = format!("line_items[{number}]");
        if !form.0.iter().any(|(field, _)| field.starts_with(&item)) {
            break;
        }
        let currency = form.currency(&format!("{item}[price_data][currency]"))?;
        if number > 0 && currency != items.currency {
            let message = "All line items must have the same currency.";
            return Err(Refusal::invalid(message).with_param("line_items"));
        }
        let price = form.required_integer(&format!("{item}[price_data][unit_amount]"))?;
        let quantity = form.required_integer(&format!("{item}[quantity]"))?;
        let name = form.required(&format!("{item}[price_data][product_data][name]"))?;
        items.amount = items.amount.saturating_add(price.saturating_mul(quantity));
        items.currency = currency;
        items.names.push(name.to_owned());
    }
    if items.names.is_empty() {
        return Err(Refusal::missing("line_items"));
    }
    items.amount = checked_amount(items.amount, "line_items")?;
    Ok(items)
}

/// Refuses parameters of a payment in setup mode.
fn check_setup(form: Form<'_>) -> Result<(), Refusal> {
    for part in ["line_items", "payment_intent_data"] {
        if form.0.iter().any(|(field, _)| field.starts_with(part)) {
            let message = format!("You can not pass `{part}` in `setup` mode.");
            return Err(Refusal::invalid(message).with_param(part));
        }
    }
    if form.list("payment_method_types").is_empty() {
        form.required("currency")?;
    }
    Ok(())
}

fn expires_at(form: Form<'_>, now: i64) -> Result<i64, Refusal> {
    let Some(seconds) = form.integer("expires_at")? else {
        return Ok(now.saturating_add(LIFE_MAX));
    };
    let expires_at = i64::try_from(seconds).unwrap_or(i64::MAX);
    let life = expires_at.saturating_sub(now);
    let message = if life < LIFE_MIN {
        "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
    } else if life > LIFE_MAX {
        "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
    } else {
        return Ok(expires_at);
    };
    Err(Refusal::invalid(message).with_param("expires_at"))
}
