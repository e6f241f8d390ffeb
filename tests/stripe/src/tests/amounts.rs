//! The amounts of credits that decide for a stored card.

use crate::Outcome;
use crate::testing::{NOW, account};

#[test]
fn the_credits_decide_for_a_stored_card() {
    for (credits, status) in [("402", 402), ("403", 200)] {
        let mut account = account();
        let id = account.intent_with("4242424242424242", credits);
        assert_eq!(account.confirm(&id, &[]).status, status, "{credits}");
    }
    let mut account = account();
    let id = account.intent_with("4242424242424242", "202");
    let answer = account.confirm(&id, &[("return_url", "https://shop.test/")]);
    assert_eq!(answer.body["status"], "requires_action");
}

#[test]
fn the_credits_do_not_decide_for_an_entered_card() {
    for credits in ["402", "202"] {
        let mut account = account();
        account.checkout(&[("payment_intent_data[metadata][credits]", credits)]);
        let outcome = account.pay("cs_test_1", "4242424242424242", NOW);
        assert!(matches!(outcome, Outcome::Redirect(_)), "{credits}: {outcome:?}");
    }
}
