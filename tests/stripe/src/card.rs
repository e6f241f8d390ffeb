//! The test cards and what happens when they are stored or charged.

/// A reason for which a card is declined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) param: Option<&'static str>,
    pub(crate) message: &'static str,
}

impl Decline {
    const fn new(code: &'static str, reason: &'static str, message: &'static str) -> Self {
        Self { code, reason: Some(reason), param: None, message }
    }

    const fn of(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }
}

pub(crate) static GENERIC: Decline =
    Decline::new("card_declined", "generic_decline", "Your card was declined.");

pub(crate) static STEP_MISSING: Decline = Decline::new(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
);

pub(crate) static INCORRECT_NUMBER: Decline = Decline {
    code: "incorrect_number",
    reason: None,
    param: Some("number"),
    message: "Your card number is incorrect.",
};

static INSUFFICIENT_FUNDS: Decline =
    Decline::new("card_declined", "insufficient_funds", "Your card has insufficient funds.");

static EXPIRED: Decline =
    Decline::new("expired_card", "expired_card", "Your card has expired.").of("exp_month");

static INCORRECT_CVC: Decline =
    Decline::new("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
        .of("cvc");

static PROCESSING_ERROR: Decline = Decline::new(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
);

/// The effect of storing or charging a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Pays,
    /// The payment succeeds and the customer disputes it.
    PaysWithDispute,
    NeedsStep,
    Declines(&'static Decline),
    /// The card can be stored, and declines when it is charged.
    DeclinesLater(&'static Decline),
}

/// A test card.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) number: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) effect: Effect,
    /// The description for the payment page.
    pub(crate) description: &'static str,
}

const fn card(number: &'static str, effect: Effect, description: &'static str) -> Card {
    Card { number, brand: "visa", effect, description }
}

/// The card that a new customer has stored.
pub(crate) static VISA: Card = card("4242424242424242", Effect::Pays, "succeeds");

static OTHERS: [Card; 11] = [
    Card {
        number: "5555555555554444",
        brand: "mastercard",
        effect: Effect::Pays,
        description: "succeeds (Mastercard)",
    },
    card("4000000000000077", Effect::Pays, "succeeds"),
    card("4000000000000259", Effect::PaysWithDispute, "succeeds and is disputed"),
    card("4000002500003155", Effect::NeedsStep, "requires authentication"),
    card("4000002760003184", Effect::NeedsStep, "requires authentication"),
    card("4000000000000002", Effect::Declines(&GENERIC), "is declined"),
    card("4000000000009995", Effect::Declines(&INSUFFICIENT_FUNDS), "has insufficient funds"),
    card("4000000000000069", Effect::Declines(&EXPIRED), "has expired"),
    card("4000000000000127", Effect::Declines(&INCORRECT_CVC), "has an incorrect security code"),
    card("4000000000000119", Effect::Declines(&PROCESSING_ERROR), "fails with a processing error"),
    card(
        "4000000000000341",
        Effect::DeclinesLater(&GENERIC),
        "can be stored, and is declined when it is charged",
    ),
];

/// All test cards.
pub(crate) fn cards() -> impl Iterator<Item = &'static Card> {
    [&VISA].into_iter().chain(&OTHERS)
}

/// Finds a test card by its number, which may contain spaces and hyphens.
pub(crate) fn find(number: &str) -> Option<&'static Card> {
    let digits: String = number.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    cards().find(|card| card.number == digits)
}

impl Card {
    pub(crate) fn last4(&self) -> &'static str {
        self.number.get(12..).unwrap_or(self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_decide() {
        let effect = |number| find(number).map(|card| card.effect);
        for number in ["4242 4242-4242 4242", "5555555555554444", "4000000000000077"] {
            assert_eq!(effect(number), Some(Effect::Pays), "{number}");
        }
        for number in ["4000002500003155", "4000002760003184"] {
            assert_eq!(effect(number), Some(Effect::NeedsStep), "{number}");
        }
        for (number, code, reason) in [
            ("4000000000000002", "card_declined", "generic_decline"),
            ("4000000000009995", "card_declined", "insufficient_funds"),
            ("4000000000000069", "expired_card", "expired_card"),
            ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
            ("4000000000000119", "processing_error", "processing_error"),
        ] {
            let Some(Effect::Declines(decline)) = effect(number) else { panic!("{number}") };
            assert_eq!((decline.code, decline.reason), (code, Some(reason)));
        }
        assert_eq!(effect("4000000000000341"), Some(Effect::DeclinesLater(&GENERIC)));
        assert_eq!(effect("4000000000000259"), Some(Effect::PaysWithDispute));
        assert_eq!(effect("4242424242424241"), None);
        assert_eq!(find("5555555555554444").map(Card::last4), Some("4444"));
    }
}
