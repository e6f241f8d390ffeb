//! The sessions of the customer portal.

use serde_json::{Value, json};

use crate::Account;
use crate::form::Form;
use crate::numbered::Named;
use crate::refusal::Refusal;

/// The URL to which the customer returns after a flow.
const AFTER: &str = "flow_data[after_completion][redirect][return_url]";

/// The parameters of a new portal session.
const CREATE: [&str; 7] = [
    "configuration",
    "customer",
    "expand",
    "flow_data[after_completion]",
    "flow_data[type]",
    "locale",
    "return_url",
];

#[derive(Clone, Debug)]
pub(crate) struct Portal {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) return_url: Option<String>,
    /// The URL to which the customer returns after a card was entered.
    pub(crate) after: Option<String>,
    /// A card that waits for the step of its customer.
    pub(crate) waiting: Option<String>,
}

impl Named for Portal {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Account {
    pub(crate) fn create_portal(&mut self, form: Form<'_>, now: i64) -> Result<Value, Refusal> {
        form.check(&CREATE)?;
        form.expands("", &[])?;
        form.required("customer")?;
        let customer = self.known_customer(form)?.unwrap_or_default();
        let flow = form.one_of("flow_data[type]", &["payment_method_update"])?;
        let return_url = form.url("return_url")?;
        let after = form.url(AFTER)?.or_else(|| return_url.clone());
        let flow = flow.map(|kind| {
            json!({
                "type": kind,
                "after_completion": { "type": "redirect", "redirect": { "return_url": after } },
            })
        });
        let id = self.portals.add(|id| Portal {
            id,
            customer: customer.clone(),
            return_url: return_url.clone(),
            after,
            waiting: None,
        });
        Ok(json!({
            "id": id,
            "object": "billing_portal.session",
            "configuration": "bpc_1",
            "created": now,
            "customer": customer,
            "flow": flow,
            "livemode": false,
            "locale": null,
            "on_behalf_of": null,
            "return_url": return_url,
            "url": self.page_url(&id),
        }))
    }
}
