//! The team's customer at the payment provider.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys::{self, Item};
use super::dynamo::request::Updated;
use crate::domain::Error;
use crate::domain::ids::{ProviderId, TeamId};

impl Store {
    /// The team's customer, once it has one.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn customer_read(&self, team: &TeamId) -> Result<Option<ProviderId>, Error> {
        Ok(self.item_get(keys::customer(team)).await?.as_ref().and_then(customer))
    }

    /// Stores a new customer of a team in place of the one that was seen. Returns the stored one: if another process
    /// was first, that of the other process.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn customer_put(
        &self,
        team: &TeamId,
        new: ProviderId,
        seen: Option<&ProviderId>,
    ) -> Result<ProviderId, Error> {
        let put = customer_replaced(team, &new, seen);
        Ok(match self.item_update(put, &mut self.retry_budget()).await? {
            Updated::Written(_) | Updated::Unmet(None) => new,
            Updated::Unmet(Some(stored)) => customer(&stored).unwrap_or(new),
        })
    }
}

/// The update that stores a customer in place of the one that was seen.
pub(super) fn customer_replaced(
    team: &TeamId,
    new: &ProviderId,
    seen: Option<&ProviderId>,
) -> Expression {
    let put = Expression::on(keys::customer(team)).set("customer = :new").value(":new", new);
    match seen {
        Some(seen) => put.when("customer = :seen").value(":seen", seen),
        None => put.when("attribute_not_exists(customer)"),
    }
}

fn customer(item: &Item) -> Option<ProviderId> {
    item.get("customer")?.as_s().ok()?.parse().ok()
}
