//! The requests about payment intents.

use serde_json::Value;

use crate::Account;
use crate::attempt::Presence;
use crate::form::Form;
use crate::intent::{Intent, IntentStatus, NewIntent};
use crate::refusal::Refusal;

/// The parameters of a new intent.
const CREATE: [&str; 16] = [
    "amount",
    "automatic_payment_methods[allow_redirects]",
    "automatic_payment_methods[enabled]",
    "capture_method",
    "confirm",
    "confirmation_method",
    "currency",
    "customer",
    "description",
    "expand",
    "metadata",
    "payment_method",
    "payment_method_types",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor_suffix",
];

/// The parameters of a confirmation.
const CONFIRM: [&str; 5] =
    ["error_on_requires_action", "expand", "off_session", "payment_method", "return_url"];

/// The property of an intent that can be expanded.
const CHARGE: &str = "latest_charge";

/// The smallest amount, in cents.
const AMOUNT_MIN: u64 = 50;

/// The largest amount, in cents.
const AMOUNT_MAX: u64 = 99_999_999;

impl Account {
    pub(crate) fn create_intent(&mut self, form: Form<'_>, now: i64) -> Result<Value, Refusal> {
        form.check(&CREATE)?;
        if form.flag("confirm")? {
            let message = "The simulation does not confirm an intent when it is created.";
            return Err(Refusal::invalid(message).with_param("confirm"));
        }
        form.one_of("capture_method", &["automatic", "automatic_async"])?;
        form.one_of("confirmation_method", &["automatic"])?;
        let is_expanded = form.expands(CHARGE, &[CHARGE])?;
        let customer = self.known_customer(form)?;
        let method = form.text("payment_method");
        self.check_method(method.as_deref(), customer.as_deref())?;
        let new = NewIntent {
            amount: checked_amount(form.required_integer("amount")?, "amount")?,
            currency: form.currency("currency")?,
            customer,
            metadata: form.metadata("metadata")?,
            description: form.text("description"),
            setup_future_usage: future_usage(form, "setup_future_usage")?,
            types: types(form)?,
            may_redirect: may_redirect(form)?,
            method,
            session: None,
        };
        let id = self.add_intent(new, now);
        Ok(self.intent_json(&id, is_expanded))
    }

    pub(crate) fn retrieve_intent(&self, id: &str, form: Form<'_>) -> Result<Value, Refusal> {
        form.check(&["expand", "client_secret"])?;
        let is_expanded = form.expands(CHARGE, &[CHARGE])?;
        self.known_intent(id)?;
        Ok(self.intent_json(id, is_expanded))
    }

    pub(crate) fn confirm_intent(
        &mut self,
        id: &str,
        form: Form<'_>,
        now: i64,
    ) -> Result<Value, Refusal> {
        form.check(&CONFIRM)?;
        let is_expanded = form.expands(CHARGE, &[CHARGE])?;
        let is_absent = form.flag("off_session")? || form.flag("error_on_requires_action")?;
        let return_url = form.url("return_url")?;
        let intent = self.known_intent(id)?;
        self.check_confirmable(intent)?;
        if intent.may_redirect && return_url.is_none() {
            let message = "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. \
                           Because some of these payment methods might redirect your customer off of your page, you \
                           must provide a `return_url`.";
            return Err(Refusal::invalid(message).with_param("return_url"));
        }
        if form.flag("off_session")? && intent.setup_future_usage.is_some() {
            let message = "You cannot confirm with `off_session=true` when `setup_future_usage` is also set on the \
                           PaymentIntent.";
            return Err(Refusal::invalid(message).with_param("off_session"));
        }
        let given = form.text("payment_method");
        self.check_method(given.as_deref(), intent.customer.as_deref())?;
        let Some(method) = given.or_else(|| intent.method.clone()) else {
            let message = "You cannot confirm this PaymentIntent because it's missing a payment method. You can \
                           either update the PaymentIntent with a payment method and then confirm it again, or \
                           confirm it again directly with a payment method.";
            return Err(Refusal::intent_state(message, self.intent_json(id, false)));
        };
        self.change_intent(id, |intent| intent.confirms = intent.confirms.saturating_add(1));
        let presence = if is_absent { Presence::Absent } else { Presence::Present(return_url) };
        match self.pay_intent(id, &method, presence, now) {
            Ok(()) => Ok(self.intent_json(id, is_expanded)),
            Err(error) => Err(Refusal::card(error, self.intent_json(id, false))),
        }
    }

    pub(crate) fn cancel_intent(
        &mut self,
        id: &str,
        form: Form<'_>,
        now: i64,
    ) -> Result<Value, Refusal> {
        form.check(&["cancellation_reason", "expand"])?;
        let is_expanded = form.expands(CHARGE, &[CHARGE])?;
        let reasons = ["duplicate", "fraudulent", "requested_by_customer", "abandoned"];
        let reason = form.one_of("cancellation_reason", &reasons)?;
        let intent = self.known_intent(id)?;
        check_not_of_checkout(intent)?;
        if !intent.status.is_open() {
            let message = format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of \
                 the following statuses may be canceled: requires_payment_method, requires_capture, \
                 requires_confirmation, requires_action, processing.",
                intent.status.as_str()
            );
            return Err(Refusal::intent_state(message, self.intent_json(id, false)));
        }
        self.cancel(id, reason, now);
        Ok(self.intent_json(id, is_expanded))
    }

    fn known_intent(&self, id: &str) -> Result<&Intent, Refusal> {
        let unknown = || Refusal::unknown("payment_intent", id).with_param("intent");
        self.intents.get(id).ok_or_else(unknown)
    }

    fn check_confirmable(&self, intent: &Intent) -> Result<(), Refusal> {
        check_not_of_checkout(intent)?;
        let message = match intent.status {
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresAction => return Ok(()),
            IntentStatus::Succeeded => {
                "You cannot confirm this PaymentIntent because it has already succeeded after being previously \
                 confirmed."
                    .to_owned()
            }
            IntentStatus::Processing | IntentStatus::Canceled => format!(
                "You cannot confirm this PaymentIntent because it has a status of {}. Only a PaymentIntent with one \
                 of the following statuses may be confirmed: requires_payment_method, requires_confirmation, \
                 requires_action.",
                intent.status.as_str()
            ),
        };
        Err(Refusal::intent_state(message, self.intent_json(&intent.id, false)))
    }

    /// Refuses a card that does not exist or that is stored with another customer.
    fn check_method(&self, method: Option<&str>, customer: Option<&str>) -> Result<(), Refusal> {
        let Some(id) = method else { return Ok(()) };
        let unknown = || Refusal::unknown_reference("PaymentMethod", id, "payment_method");
        let method = self.methods.get(id).ok_or_else(unknown)?;
        if method.customer.is_some() && method.customer.as_deref() == customer {
            return Ok(());
        }
        let message = match (&method.customer, customer) {
            (Some(owner), Some(customer)) => format!(
                "The PaymentMethod `{id}` does not belong to the Customer you supplied `{customer}`. Please use this \
                 PaymentMethod with the Customer that it belongs to instead: `{owner}`."
            ),
            (Some(owner), None) => format!(
                "The PaymentMethod `{id}` belongs to the Customer `{owner}`. Please include the Customer in the \
                 `customer` parameter on the PaymentIntent."
            ),
            (None, _) => format!(
                "The provided PaymentMethod `{id}` was previously used with a PaymentIntent without Customer \
                 attachment. It may not be used again."
            ),
        };
        Err(Refusal::invalid(message).with_param("payment_method"))
    }
}

/// Refuses an amount that a card cannot pay.
pub(crate) fn checked_amount(amount: u64, param: &str) -> Result<u64, Refusal> {
    let (message, code) = match amount {
        0 => ("This value must be greater than or equal to 1.", "parameter_invalid_integer"),
        1..AMOUNT_MIN => ("Amount must be at least $0.50 usd", "amount_too_small"),
        AMOUNT_MIN..=AMOUNT_MAX => return Ok(amount),
        _ => ("Amount must be no more than $999,999.99", "amount_too_large"),
    };
    Err(Refusal::invalid(message).with_code(code).with_param(param))
}

pub(crate) fn future_usage(form: Form<'_>, name: &str) -> Result<Option<String>, Refusal> {
    form.one_of(name, &["off_session", "on_session"])
}

/// The payment method types; of them only cards are simulated.
fn types(form: Form<'_>) -> Result<Vec<String>, Refusal> {
    let types: Vec<String> =
        form.list("payment_method_types").into_iter().map(str::to_owned).collect();
    if types.is_empty() {
        return Ok(vec!["card".to_owned()]);
    }
    if types.iter().any(|kind| kind == "card") {
        return Ok(types);
    }
    let message = "The simulation accepts cards only.";
    Err(Refusal::invalid(message).with_param("payment_method_types"))
}

/// Whether the payment methods of the dashboard are accepted, those that redirect included.
fn may_redirect(form: Form<'_>) -> Result<bool, Refusal> {
    let redirects = "automatic_payment_methods[allow_redirects]";
    let enabled = "automatic_payment_methods[enabled]";
    let never = form.one_of(redirects, &["always", "never"])?.as_deref() == Some("never");
    let is_off = form.get(enabled).is_some() && !form.flag(enabled)?;
    Ok(form.list("payment_method_types").is_empty() && !never && !is_off)
}

/// Refuses to confirm or cancel an intent of a Checkout session.
fn check_not_of_checkout(intent: &Intent) -> Result<(), Refusal> {
    match intent.session {
        Some(_) => Err(Refusal::state(
            "You cannot perform this action on PaymentIntents created by Checkout. Expire the Checkout Session \
             instead.",
        )),
        None => Ok(()),
    }
}
