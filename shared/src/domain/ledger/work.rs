//! Work: a number of leads and the actions on each of them.

use serde::{Deserialize, Serialize};

use crate::domain::catalogue::prices::{PriceList, unknown_action};
use crate::domain::limits::LEADS_MAX;
use crate::domain::{Credits, Error};

/// What a hold is sized for: so many leads, each action once on each of them, all of them successful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// How many leads, 1 to a million.
    pub leads: u64,
    /// The actions, as the catalogue names them.
    pub actions: Vec<String>,
}

impl Work {
    /// What it costs at most.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an action that the list does not have or that is named twice, for no
    /// action, and for too many leads.
    pub fn maximum(&self, list: &PriceList) -> Result<Credits, Error> {
        self.cost(list, |_, credits| credits)
    }

    /// The sum of what `part` makes of the cost of each action.
    pub(in crate::domain) fn cost(
        &self,
        list: &PriceList,
        part: impl Fn(&str, Credits) -> Credits,
    ) -> Result<Credits, Error> {
        if !(1..=LEADS_MAX).contains(&self.leads) {
            return Err(Error::invalid("leads", format!("must be 1 to {LEADS_MAX}")));
        }
        if self.actions.is_empty() {
            return Err(Error::invalid("actions", "must name at least one action"));
        }
        let mut sum = Credits::ZERO;
        for (index, action) in self.actions.iter().enumerate() {
            let field = || format!("actions[{index}]");
            if self.actions.iter().take(index).any(|before| before == action) {
                return Err(Error::invalid(field(), format!("`{action}` is named before")));
            }
            let price =
                list.price(action).map_err(|_| Error::invalid(field(), unknown_action(action)))?;
            let cost = price.credits.checked_mul(self.leads);
            let cost = cost.and_then(|cost| sum.checked_add(part(action, cost)));
            sum = cost.ok_or_else(|| Error::invalid(field(), "costs too much"))?;
        }
        Ok(sum)
    }
}
