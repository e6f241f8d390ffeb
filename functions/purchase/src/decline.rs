//! The reasons of failed payments in plain words.

use shared::domain::payment::Decline;

use crate::stripe::CardError;

/// The code of a payment that needs a step of the absent customer.
const AUTHENTICATION_REQUIRED: &str = "authentication_required";

/// The failure of a payment that needs a step of the absent customer.
pub(crate) fn authentication_required() -> Decline {
    let code = Some(AUTHENTICATION_REQUIRED.to_owned());
    Decline { code, ..Decline::because(reason(AUTHENTICATION_REQUIRED)) }
}

/// The failure of a payment by an error of the card. The code of the bank is more precise than Stripe's.
pub(crate) fn of_card(error: &CardError) -> Decline {
    let code = error.decline_code.as_deref().or(error.code.as_deref());
    Decline { reason: reason(code.unwrap_or_default()).to_owned(), code: code.map(str::to_owned) }
}

/// The failure of a payment that Stripe did not accept.
pub(crate) fn of_refusal(code: Option<&str>) -> Decline {
    let reason = match code {
        Some("amount_too_small") => "the amount is below the payment provider's minimum",
        Some("amount_too_large") => "the amount is above the payment provider's maximum",
        _ => "the payment provider refused the payment; contact support",
    };
    Decline { reason: reason.to_owned(), code: code.map(str::to_owned) }
}

fn reason(code: &str) -> &'static str {
    match code {
        "insufficient_funds" => "the card has insufficient funds",
        "expired_card" => "the card has expired",
        "incorrect_cvc" | "invalid_cvc" => "the security code of the card is wrong",
        "incorrect_number" | "invalid_number" => "the card number is wrong",
        "invalid_expiry_month" | "invalid_expiry_year" => "the expiry date of the card is wrong",
        "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            "the card has reached its limit; try later or use another card"
        }
        "card_not_supported" | "currency_not_supported" => {
            "the card does not support this payment; use another card"
        }
        "processing_error" | "try_again_later" | "issuer_not_available" | "reenter_transaction" => {
            "the bank could not process the payment; try again later"
        }
        AUTHENTICATION_REQUIRED => {
            "the bank requires the card holder to confirm the payment; buy in person"
        }
        "payment_intent_authentication_failure" => {
            "the card holder did not confirm the payment with the bank"
        }
        // The bank asks not to state a lost or stolen card.
        _ => "the card was declined; use another card or contact the bank",
    }
}
