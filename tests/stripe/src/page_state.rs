//! The pages of the customer.

use std::collections::BTreeMap;

use crate::Account;
use crate::intent::IntentStatus;
use crate::session::Mode;

/// The description of a page on which a card is stored.
const LATER_PAYMENTS: &str = "The card for later payments";

/// The purpose of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The payment of a Checkout session.
    Payment,
    /// A Checkout session that stores a card.
    Setup,
    /// The portal, in which the customer enters the default card.
    Portal,
    /// The 3-D Secure step of a payment or of a stored card.
    Authentication,
}

/// The state of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStatus {
    /// The customer can use the page.
    Open,
    /// The page has fulfilled its purpose.
    Complete,
    /// The page can no longer be used.
    Expired,
}

impl PageStatus {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// A page as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The purpose of the page.
    pub kind: PageKind,
    /// The id of the session, of the portal session or of the intent.
    pub id: String,
    /// The amount in the smallest unit of a currency, and the currency in lower case.
    pub amount: Option<(u64, String)>,
    /// The names of the products, or the description of the payment.
    pub description: String,
    /// The state.
    pub status: PageStatus,
    /// The URL to which the customer can return.
    pub return_url: Option<String>,
}

impl Account {
    /// Returns the page of a session, of the portal or of an intent.
    #[must_use]
    pub fn page(&self, id: &str) -> Option<Page> {
        self.session_page(id).or_else(|| self.portal_page(id)).or_else(|| self.intent_page(id))
    }

    /// Returns the page on which the customer tries again after a message. After the step of a session's
    /// payment it is the page of the session.
    #[must_use]
    pub fn page_after_decline(&self, id: &str) -> Option<Page> {
        let session = self.intents.get(id).and_then(|intent| intent.session.as_deref());
        session.and_then(|session| self.session_page(session)).or_else(|| self.page(id))
    }

    /// Returns the metadata of the payment or the session for which `name` has `value`.
    #[must_use]
    pub fn metadata_with(&self, name: &str, value: &str) -> Option<&BTreeMap<String, String>> {
        let intents = self.intents.iter().map(|intent| &intent.metadata);
        let sessions = self.sessions.iter().map(|session| &session.new.metadata);
        intents.chain(sessions).find(|metadata| metadata.get(name).is_some_and(|it| it == value))
    }

    fn session_page(&self, id: &str) -> Option<Page> {
        let session = self.sessions.get(id)?;
        let kind = match session.new.mode {
            _ if session.waiting.is_some() => PageKind::Authentication,
            Mode::Payment => PageKind::Payment,
            Mode::Setup => PageKind::Setup,
        };
        let return_url = match session.status {
            PageStatus::Complete => Some(session.success_url()),
            PageStatus::Open | PageStatus::Expired => session.cancel_url(),
        };
        Some(Page {
            kind,
            id: session.id.clone(),
            amount: session.new.amount.zip(session.new.currency.clone()),
            description: match session.new.mode {
                Mode::Payment => session.new.description.clone(),
                Mode::Setup => LATER_PAYMENTS.to_owned(),
            },
            status: session.status,
            return_url,
        })
    }

    fn portal_page(&self, id: &str) -> Option<Page> {
        let portal = self.portals.get(id)?;
        let kind =
            if portal.waiting.is_some() { PageKind::Authentication } else { PageKind::Portal };
        Some(Page {
            kind,
            id: portal.id.clone(),
            amount: None,
            description: LATER_PAYMENTS.to_owned(),
            status: PageStatus::Open,
            return_url: portal.return_url.clone(),
        })
    }

    fn intent_page(&self, id: &str) -> Option<Page> {
        let intent = self.intents.get(id)?;
        let session = intent.session.as_ref().and_then(|id| self.sessions.get(id));
        let names = session.map(|session| session.new.description.clone());
        let status = match intent.status {
            IntentStatus::RequiresAction => PageStatus::Open,
            IntentStatus::Succeeded | IntentStatus::Processing => PageStatus::Complete,
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::Canceled => PageStatus::Expired,
        };
        Some(Page {
            kind: PageKind::Authentication,
            id: intent.id.clone(),
            amount: Some((intent.amount, intent.currency.clone())),
            description: intent.description.clone().or(names).unwrap_or_default(),
            status,
            return_url: self.way_back(intent),
        })
    }
}
