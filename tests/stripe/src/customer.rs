//! Customers and their stored cards.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Account;
use crate::card::{Card, VISA, find};
use crate::form::Form;
use crate::numbered::Named;
use crate::refusal::Refusal;

/// The parameters of a new customer.
const PARAMETERS: [&str; 10] = [
    "address",
    "description",
    "email",
    "expand",
    "metadata",
    "name",
    "phone",
    "preferred_locales",
    "shipping",
    "tax_exempt",
];

/// The property of a customer that can be expanded.
const DEFAULT_METHOD: &str = "invoice_settings.default_payment_method";

/// The customer of a team with this prefix gets no stored card.
const NO_CARD: &str = "nocard";

/// The length of a list without `limit`.
const LIMIT: u64 = 10;

/// The largest `limit` of a list.
const LIMIT_MAX: u64 = 100;

#[derive(Debug)]
pub(crate) struct Customer {
    id: String,
    name: Option<String>,
    email: Option<String>,
    description: Option<String>,
    metadata: BTreeMap<String, String>,
    created: i64,
    /// The ids of the stored cards, the newest last.
    methods: Vec<String>,
    default_method: Option<String>,
}

impl Named for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A card that was entered on a page.
#[derive(Debug)]
pub(crate) struct PaymentMethod {
    id: String,
    pub(crate) card: &'static Card,
    /// The customer who has stored the card.
    pub(crate) customer: Option<String>,
    created: i64,
}

impl Named for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Account {
    pub(crate) fn create_customer(&mut self, form: Form<'_>, now: i64) -> Result<Value, Refusal> {
        form.check(&PARAMETERS)?;
        let is_expanded = form.expands(DEFAULT_METHOD, &[DEFAULT_METHOD])?;
        let metadata = form.metadata("metadata")?;
        let has_card = !metadata.get("team").is_some_and(|team| team.starts_with(NO_CARD));
        let id = self.customers.add(|id| Customer {
            id,
            name: form.text("name"),
            email: form.text("email"),
            description: form.text("description"),
            metadata,
            created: now,
            methods: Vec::new(),
            default_method: None,
        });
        if has_card {
            let method = self.add_method(&VISA, now);
            self.store_method(&method, &id);
        }
        self.customer_json(&id, is_expanded)
    }

    pub(crate) fn retrieve_customer(&self, id: &str, form: Form<'_>) -> Result<Value, Refusal> {
        form.check(&["expand"])?;
        self.customer_json(id, form.expands(DEFAULT_METHOD, &[DEFAULT_METHOD])?)
    }

    pub(crate) fn list_methods(&self, id: &str, form: Form<'_>) -> Result<Value, Refusal> {
        form.check(&["type", "limit"])?;
        let limit = limit(form)?;
        let customer = self.customers.get(id).ok_or_else(|| Refusal::unknown("customer", id))?;
        let methods: Vec<Value> = match form.get("type") {
            None | Some("card") => {
                customer.methods.iter().rev().map(|id| self.method_json(id)).collect()
            }
            Some(_) => Vec::new(),
        };
        Ok(list(methods, limit, &format!("/v1/customers/{id}/payment_methods")))
    }

    fn customer_json(&self, id: &str, is_expanded: bool) -> Result<Value, Refusal> {
        if self.customers.is_earlier(id) {
            return Ok(json!({ "id": id, "object": "customer", "deleted": true }));
        }
        let customer = self.customers.get(id).ok_or_else(|| Refusal::unknown("customer", id))?;
        let default_method = match &customer.default_method {
            Some(method) if is_expanded => self.method_json(method),
            method => json!(method),
        };
        Ok(json!({
            "id": customer.id,
            "object": "customer",
            "address": null,
            "balance": 0,
            "created": customer.created,
            "currency": null,
            "default_source": null,
            "delinquent": false,
            "description": customer.description,
            "discount": null,
            "email": customer.email,
            "invoice_settings": {
                "custom_fields": null,
                "default_payment_method": default_method,
                "footer": null,
                "rendering_options": null,
            },
            "livemode": false,
            "metadata": customer.metadata,
            "name": customer.name,
            "phone": null,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
        }))
    }

    /// The JSON of a card; null for an unknown id.
    pub(crate) fn method_json(&self, id: &str) -> Value {
        let Some(method) = self.methods.get(id) else { return Value::Null };
        json!({
            "id": method.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": { "address": {}, "email": null, "name": null, "phone": null },
            "card": card_json(method.card),
            "created": method.created,
            "customer": method.customer,
            "livemode": false,
            "metadata": {},
            "type": "card",
        })
    }

    pub(crate) fn add_method(&mut self, card: &'static Card, now: i64) -> String {
        self.methods.add(|id| PaymentMethod { id, card, customer: None, created: now })
    }

    /// Stores a card with a customer.
    pub(crate) fn store_method(&mut self, method: &str, customer: &str) {
        let objects = (self.methods.get_mut(method), self.customers.get_mut(customer));
        let (Some(method), Some(customer)) = objects else { return };
        if method.customer.is_none() {
            method.customer = Some(customer.id.clone());
            customer.methods.push(method.id.clone());
        }
    }

    /// Makes a stored card the default of its customer.
    pub(crate) fn make_default(&mut self, method: &str, customer: &str) {
        if let Some(customer) = self.customers.get_mut(customer) {
            customer.default_method = Some(method.to_owned());
        }
    }

    /// The customer that a parameter names.
    pub(crate) fn known_customer(&self, form: Form<'_>) -> Result<Option<String>, Refusal> {
        match form.get("customer") {
            Some(id) if self.customers.get(id).is_none() => {
                Err(Refusal::unknown_reference("customer", id, "customer"))
            }
            id => Ok(id.map(str::to_owned)),
        }
    }

    /// Stores a card with a customer, as if it was entered earlier. Returns whether both exist.
    pub fn attach_card(&mut self, customer: &str, number: &str) -> bool {
        let Some(card) = find(number).filter(|_| self.customers.get(customer).is_some()) else {
            return false;
        };
        let method = self.add_method(card, 0);
        self.store_method(&method, customer);
        true
    }
}

/// The JSON of a card within a payment method or a charge.
pub(crate) fn card_json(card: &Card) -> Value {
    json!({
        "brand": card.brand,
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": format!("fingerprint{}", card.number),
        "funding": "credit",
        "last4": card.last4(),
    })
}

/// The parameter `limit` of a list.
pub(crate) fn limit(form: Form<'_>) -> Result<usize, Refusal> {
    let limit = form.integer("limit")?.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let message = format!("This value must be between 1 and {LIMIT_MAX}.");
        return Err(Refusal::invalid(message).with_param("limit"));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The JSON of a list.
pub(crate) fn list(mut data: Vec<Value>, limit: usize, url: &str) -> Value {
    let has_more = data.len() > limit;
    data.truncate(limit);
    json!({ "object": "list", "data": data, "has_more": has_more, "url": url })
}
