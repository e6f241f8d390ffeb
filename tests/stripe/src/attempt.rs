//! The payment of an intent by a card, and its results.

use serde_json::{Value, json};

use crate::Account;
use crate::card::{Decline, Effect, GENERIC, STEP_MISSING};
use crate::charge::ChargeState;
use crate::intent::IntentStatus;
use crate::refusal::doc_url;

/// Whether the customer can authenticate a payment.
#[derive(Clone, Debug)]
pub(crate) enum Presence {
    /// The customer is redirected to the URL after the step.
    Present(Option<String>),
    Absent,
}

/// The code of a failed authentication.
const AUTHENTICATION_FAILED: &str = "payment_intent_authentication_failure";

/// The message of a failed authentication.
pub(crate) const AUTHENTICATION_FAILED_MESSAGE: &str = "We are unable to authenticate your payment method. Please choose a different payment method and try again.";

impl Account {
    /// Pays an intent with a card. The error is the intent's `last_payment_error`.
    pub(crate) fn pay_intent(
        &mut self,
        intent: &str,
        method: &str,
        presence: Presence,
        now: i64,
    ) -> Result<(), Value> {
        let effect = self.effect(intent, method);
        let (return_url, is_present) = match presence {
            Presence::Present(return_url) => (return_url, true),
            Presence::Absent => (None, false),
        };
        self.change_intent(intent, |intent| {
            intent.method = Some(method.to_owned());
            intent.return_url = return_url;
            intent.last_error = None;
        });
        match effect {
            Effect::Declines(decline) | Effect::DeclinesLater(decline) => {
                Err(self.decline(intent, decline, now))
            }
            Effect::NeedsStep if is_present => {
                self.change_intent(intent, |intent| intent.status = IntentStatus::RequiresAction);
                self.emit_intent("payment_intent.requires_action", intent, now);
                Ok(())
            }
            Effect::NeedsStep => Err(self.decline(intent, &STEP_MISSING, now)),
            Effect::Pays | Effect::PaysWithDispute => {
                self.request_money(intent, now);
                Ok(())
            }
        }
    }

    /// The effect of a charge. An intent for certain amounts of credits decides for a stored card.
    fn effect(&self, intent: &str, method: &str) -> Effect {
        let Some(method) = self.methods.get(method) else { return Effect::Declines(&GENERIC) };
        let intent = self.intents.get(intent).filter(|_| method.customer.is_some());
        let credits = intent.and_then(|intent| intent.metadata.get("credits")?.parse().ok());
        match credits {
            Some(credits) if (self.declines)(credits) => Effect::Declines(&GENERIC),
            Some(202) => Effect::NeedsStep,
            _ => method.card.effect,
        }
    }

    /// Requests the money from the card. The customer has taken the step, if there was one.
    pub(crate) fn request_money(&mut self, intent: &str, now: i64) {
        self.add_charge(intent, ChargeState::Pending, now);
        self.change_intent(intent, |intent| intent.status = IntentStatus::Processing);
        if self.intents_process {
            self.emit_intent("payment_intent.processing", intent, now);
            self.follow_intent(intent, now);
        } else {
            self.succeed(intent, now);
        }
    }

    fn succeed(&mut self, id: &str, now: i64) {
        let Some(intent) = self.intents.get_mut(id) else { return };
        intent.status = IntentStatus::Succeeded;
        intent.amount_received = intent.amount;
        let charge = intent.charge.clone().unwrap_or_default();
        let method = intent.method.clone().unwrap_or_default();
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.state = ChargeState::Paid;
        }
        let object = self.charge_json(&charge);
        self.emit("charge.succeeded", &object, now);
        self.emit_intent("payment_intent.succeeded", id, now);
        self.follow_intent(id, now);
        let effect = self.methods.get(&method).map(|method| method.card.effect);
        if effect == Some(Effect::PaysWithDispute) {
            self.dispute(id, now);
        }
    }

    /// Records a card's refusal. Returns the intent's `last_payment_error`.
    fn decline(&mut self, intent: &str, decline: &'static Decline, now: i64) -> Value {
        let charge = self.add_charge(intent, ChargeState::Failed(decline), now);
        self.fail(intent, card_error(decline, &charge), now)
    }

    /// Records that the customer has not authenticated the payment.
    pub(crate) fn fail_step(&mut self, intent: &str, now: i64) {
        let error = json!({
            "type": "invalid_request_error",
            "code": AUTHENTICATION_FAILED,
            "doc_url": doc_url(AUTHENTICATION_FAILED),
            "message": AUTHENTICATION_FAILED_MESSAGE,
        });
        self.fail(intent, error, now);
    }

    fn fail(&mut self, id: &str, mut error: Value, now: i64) -> Value {
        let method = self.intents.get(id).and_then(|intent| intent.method.clone());
        let method = self.method_json(&method.unwrap_or_default());
        if let Some(fields) = error.as_object_mut() {
            fields.insert("payment_method".to_owned(), method);
        }
        self.change_intent(id, |intent| {
            intent.status = IntentStatus::RequiresPaymentMethod;
            intent.method = None;
            intent.last_error = Some(error.clone());
        });
        self.emit_intent("payment_intent.payment_failed", id, now);
        error
    }

    /// Cancels an intent that is not paid.
    pub(crate) fn cancel(&mut self, id: &str, reason: Option<String>, now: i64) {
        self.change_intent(id, |intent| {
            intent.status = IntentStatus::Canceled;
            intent.canceled_at = Some(now);
            intent.cancellation_reason = reason;
        });
        self.emit_intent("payment_intent.canceled", id, now);
    }

    /// Sets whether later payments remain in `processing` until [`Self::finish_processing`]. A card
    /// that is declined is declined at once.
    pub fn set_processing(&mut self, intents_process: bool) {
        self.intents_process = intents_process;
    }

    /// Ends the processing of an intent. An intent in another status stays as it is.
    pub fn finish_processing(&mut self, intent: &str, succeeds: bool, now: i64) {
        self.advance(now);
        let Some(found) = self.intents.get(intent) else { return };
        if found.status != IntentStatus::Processing {
            return;
        }
        let charge = found.charge.clone().unwrap_or_default();
        if succeeds {
            self.succeed(intent, now);
            return;
        }
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.state = ChargeState::Failed(&GENERIC);
        }
        self.fail(intent, card_error(&GENERIC, &charge), now);
        self.follow_intent(intent, now);
    }
}

fn card_error(decline: &Decline, charge: &str) -> Value {
    let mut error = json!({
        "type": "card_error",
        "code": decline.code,
        "doc_url": doc_url(decline.code),
        "message": decline.message,
        "charge": charge,
    });
    for (name, value) in [("decline_code", decline.reason), ("param", decline.param)] {
        if let (Some(fields), Some(value)) = (error.as_object_mut(), value) {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    error
}
