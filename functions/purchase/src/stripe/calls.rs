//! The calls that the function makes.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::domain::Error;
use shared::domain::ids::{ProviderId, TeamId};
use shared::domain::purchase::Purchase;

use super::objects::{Expandable, Intent, Refusal, Returned, Session};
use super::request::{Call, Fields, Reply, Stripe};

/// The charge of a payment is stated as an object.
const WITH_CHARGE: (&str, &str) = ("expand[]", "latest_charge");

/// A customer that can pay.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The id, `cus_…`.
    pub id: ProviderId,
    /// The card that is charged, if one is stored.
    pub card: Option<Card>,
}

/// A stored card.
#[derive(Clone, Debug, Deserialize)]
pub struct Card {
    /// The id, `pm_…`.
    pub id: ProviderId,
    /// The details printed on it.
    pub card: CardDetails,
}

/// The details printed on a card.
#[derive(Clone, Debug, Deserialize)]
pub struct CardDetails {
    /// The brand, such as `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// The month of its expiry, 1 to 12.
    pub exp_month: u8,
    /// The year of its expiry.
    pub exp_year: u16,
}

#[derive(Deserialize)]
struct Created {
    id: ProviderId,
}

#[derive(Deserialize)]
struct StoredCustomer {
    #[serde(default)]
    deleted: bool,
    invoice_settings: Option<InvoiceSettings>,
}

#[derive(Deserialize)]
struct InvoiceSettings {
    default_payment_method: Option<Expandable<MaybeCard>>,
}

/// A payment method, which may be of another kind than a card.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum MaybeCard {
    Card(Card),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Page {
    url: String,
}

impl Stripe {
    /// Creates the customer of a team.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn customer_create(&self, team: &TeamId) -> Result<ProviderId, Error> {
        let fields = [("name", team.as_str()), ("metadata[team]", team.as_str())];
        // A request that is sent again makes no second customer.
        let key = format!("{team}-{:016x}", fastrand::u64(..));
        let call = Call { method: "POST", path: "/v1/customers", fields: &fields, key: Some(&key) };
        Ok(accepted(self.send::<Created>(call).await?)?.id)
    }

    /// A customer with the card that is charged: the one chosen as default, else the newest. `None` if the customer was
    /// deleted.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`], also for a customer of
    /// another account.
    pub async fn customer_read(&self, id: &ProviderId) -> Result<Option<Customer>, Error> {
        let path = format!("/v1/customers/{id}");
        let fields = [("expand[]", "invoice_settings.default_payment_method")];
        let found = match self.get::<StoredCustomer>(&path, &fields).await? {
            Reply::Accepted(found) if !found.deleted => found,
            Reply::Accepted(_) => return Ok(None),
            Reply::Refused(refusal) => return Err(unexpected(&refusal)),
        };
        let default = found.invoice_settings.and_then(|settings| settings.default_payment_method);
        if let Some(Expandable::Object(MaybeCard::Card(card))) = default {
            return Ok(Some(Customer { id: id.clone(), card: Some(card) }));
        }
        let path = format!("/v1/customers/{id}/payment_methods");
        let cards: Reply<List<Card>> = self.get(&path, &[("type", "card"), ("limit", "1")]).await?;
        let card = accepted(cards)?.data.into_iter().next();
        Ok(Some(Customer { id: id.clone(), card }))
    }

    /// Creates the payment of a purchase. It takes no money until it is confirmed.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn intent_create(
        &self,
        purchase: &Purchase,
        customer: &ProviderId,
        card: &Card,
    ) -> Result<Reply<Intent>, Error> {
        let Purchase { id, team, credits, amount, .. } = purchase;
        let (cents, currency) = (amount.cents.to_string(), amount.currency.to_string());
        let credits = credits.to_string();
        let fields = [
            ("amount", cents.as_str()),
            ("currency", &currency),
            ("customer", customer.as_str()),
            ("payment_method", card.id.as_str()),
            ("payment_method_types[]", "card"),
            ("metadata[team]", team.as_str()),
            ("metadata[purchase]", id.as_str()),
            ("metadata[credits]", &credits),
        ];
        let (path, key) = ("/v1/payment_intents", Some(id.as_str()));
        self.send(Call { method: "POST", path, fields: &fields, key }).await
    }

    /// Takes the money of a payment. An automatic top-up has no customer present.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn intent_confirm(
        &self,
        id: &ProviderId,
        purchase: &Purchase,
    ) -> Result<Reply<Intent>, Error> {
        let (path, key) = (format!("/v1/payment_intents/{id}/confirm"), format!("{id}-confirm"));
        let return_url = self.return_to(purchase);
        let presence = if purchase.top_up {
            ("off_session", "true")
        } else {
            ("return_url", return_url.as_str())
        };
        let fields = [presence, WITH_CHARGE];
        self.send(Call { method: "POST", path: &path, fields: &fields, key: Some(&key) }).await
    }

    /// A payment; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn intent_read(&self, id: &ProviderId) -> Result<Option<Intent>, Error> {
        existing(self.get(&format!("/v1/payment_intents/{id}"), &[WITH_CHARGE]).await?)
    }

    /// Cancels a payment. It is refused if the money was taken or is being taken.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn intent_cancel(&self, id: &ProviderId) -> Result<Reply<Intent>, Error> {
        let path = format!("/v1/payment_intents/{id}/cancel");
        let fields = [("cancellation_reason", "abandoned")];
        self.send(Call { method: "POST", path: &path, fields: &fields, key: None }).await
    }

    /// Creates the page on which the customer pays a purchase. The card is stored for later purchases.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn session_create(
        &self,
        purchase: &Purchase,
        customer: &ProviderId,
    ) -> Result<Reply<Session>, Error> {
        let Purchase { id, team, credits, amount, .. } = purchase;
        let (cents, currency) = (amount.cents.to_string(), amount.currency.to_string());
        let (return_url, name) = (self.return_to(purchase), format!("{credits} credits"));
        let credits = credits.to_string();
        let fields = [
            ("mode", "payment"),
            ("customer", customer.as_str()),
            ("client_reference_id", id.as_str()),
            ("payment_method_types[]", "card"),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", &currency),
            ("line_items[0][price_data][unit_amount]", &cents),
            ("line_items[0][price_data][product_data][name]", &name),
            ("payment_intent_data[setup_future_usage]", "off_session"),
            ("payment_intent_data[metadata][team]", team.as_str()),
            ("payment_intent_data[metadata][purchase]", id.as_str()),
            ("payment_intent_data[metadata][credits]", &credits),
            ("metadata[team]", team.as_str()),
            ("metadata[purchase]", id.as_str()),
            ("success_url", &return_url),
            ("cancel_url", &return_url),
        ];
        let (path, key) = ("/v1/checkout/sessions", format!("{id}-session"));
        self.send(Call { method: "POST", path, fields: &fields, key: Some(&key) }).await
    }

    /// A page; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn session_read(&self, id: &ProviderId) -> Result<Option<Session>, Error> {
        existing(self.get(&format!("/v1/checkout/sessions/{id}"), &[]).await?)
    }

    /// Ends a page, so that the customer cannot pay. It is refused if the page is not open.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn session_expire(&self, id: &ProviderId) -> Result<Reply<Session>, Error> {
        let path = format!("/v1/checkout/sessions/{id}/expire");
        self.send(Call { method: "POST", path: &path, fields: &[], key: None }).await
    }

    /// The URL of a page on which the customer stores a first card, or changes the stored ones.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn card_page(&self, customer: &Customer) -> Result<String, Error> {
        let (id, url) = (customer.id.as_str(), &*self.return_url);
        let page = if customer.card.is_some() {
            let fields = [("customer", id), ("return_url", url)];
            let path = "/v1/billing_portal/sessions";
            self.send::<Page>(Call { method: "POST", path, fields: &fields, key: None }).await?
        } else {
            let fields = [
                ("mode", "setup"),
                ("customer", id),
                ("payment_method_types[]", "card"),
                ("success_url", url),
                ("cancel_url", url),
            ];
            let path = "/v1/checkout/sessions";
            self.send::<Page>(Call { method: "POST", path, fields: &fields, key: None }).await?
        };
        Ok(accepted(page)?.url)
    }

    /// The refunds of a payment, at most 100.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn refunds_list(&self, intent: &ProviderId) -> Result<Vec<Returned>, Error> {
        self.returned_list("/v1/refunds", intent).await
    }

    /// The disputes of a payment, at most 100.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::PaymentFailed`] without an account, [`Error::Internal`].
    pub async fn disputes_list(&self, intent: &ProviderId) -> Result<Vec<Returned>, Error> {
        self.returned_list("/v1/disputes", intent).await
    }

    async fn returned_list(&self, path: &str, intent: &ProviderId) -> Result<Vec<Returned>, Error> {
        let fields = [("payment_intent", intent.as_str()), ("limit", "100")];
        let found: Reply<List<Returned>> = self.get(path, &fields).await?;
        Ok(accepted(found)?.data)
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        fields: &Fields<'_>,
    ) -> Result<Reply<T>, Error> {
        self.send(Call { method: "GET", path, fields, key: None }).await
    }

    /// The page of the product that the customer returns to, with the purchase in its query.
    fn return_to(&self, purchase: &Purchase) -> String {
        let separator = if self.return_url.contains('?') { '&' } else { '?' };
        format!("{}{separator}purchase={}", self.return_url, purchase.id)
    }
}

/// The object, or `None` if it does not exist.
fn existing<T>(reply: Reply<T>) -> Result<Option<T>, Error> {
    match reply {
        Reply::Accepted(object) => Ok(Some(object)),
        Reply::Refused(refusal) if refusal.is_missing() => Ok(None),
        Reply::Refused(refusal) => Err(unexpected(&refusal)),
    }
}

/// The object of a request that Stripe has no reason to refuse.
fn accepted<T>(reply: Reply<T>) -> Result<T, Error> {
    match reply {
        Reply::Accepted(object) => Ok(object),
        Reply::Refused(refusal) => Err(unexpected(&refusal)),
    }
}

fn unexpected(Refusal { kind, code, message }: &Refusal) -> Error {
    Error::internal(format!("Stripe refused a request: {kind} {code:?}: {message}"))
}
