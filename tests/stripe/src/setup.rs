//! Cards that are stored without a payment: in Checkout's setup mode and in the portal.

use crate::Account;
use crate::attempt::AUTHENTICATION_FAILED_MESSAGE;
use crate::card::{Card, Effect};
use crate::page_acts::Outcome;

impl Account {
    /// Stores a card that was entered on a page, or asks for the step that it requires.
    pub(crate) fn set_up(&mut self, id: &str, card: &'static Card, now: i64) -> Outcome {
        if let Effect::Declines(decline) = card.effect {
            return Outcome::Declined(decline.message.to_owned());
        }
        let method = self.add_method(card, now);
        if card.effect == Effect::NeedsStep {
            self.wait_for_step(id, Some(method));
            return Outcome::Authenticate(id.to_owned());
        }
        self.finish_setup(id, &method, now)
    }

    /// Ends the step of a card that waits for it.
    pub(crate) fn end_setup_step(&mut self, id: &str, accepts: bool, now: i64) -> Outcome {
        let Some(method) = self.waiting(id).map(str::to_owned) else { return Outcome::Unknown };
        self.wait_for_step(id, None);
        if accepts {
            self.finish_setup(id, &method, now)
        } else {
            Outcome::Declined(AUTHENTICATION_FAILED_MESSAGE.to_owned())
        }
    }

    /// The card that waits for a step on a page.
    pub(crate) fn waiting(&self, id: &str) -> Option<&str> {
        let of_session = self.sessions.get(id).and_then(|session| session.waiting.as_deref());
        of_session.or_else(|| self.portals.get(id)?.waiting.as_deref())
    }

    fn wait_for_step(&mut self, id: &str, method: Option<String>) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.waiting = method;
        } else if let Some(portal) = self.portals.get_mut(id) {
            portal.waiting = method;
        }
    }

    fn finish_setup(&mut self, id: &str, method: &str, now: i64) -> Outcome {
        if let Some(session) = self.sessions.get(id).cloned() {
            if let Some(customer) = &session.new.customer {
                self.store_method(method, customer);
            }
            self.complete_session(id, false, now);
            return Outcome::Redirect(session.success_url());
        }
        let Some(portal) = self.portals.get_mut(id) else { return Outcome::Unknown };
        portal.waiting = None;
        let portal = portal.clone();
        self.store_method(method, &portal.customer);
        self.make_default(method, &portal.customer);
        Outcome::Redirect(portal.after.unwrap_or_else(|| self.page_url(id)))
    }
}
