//! Work: a number of leads and the actions on each lead.

use serde::{Deserialize, Serialize};

use crate::domain::catalogue::price_list::PriceList;
use crate::domain::catalogue::prices::{Price, unknown_action};
use crate::domain::limits::LEADS_MAX;
use crate::domain::{Credits, Error};

/// The work that sizes a hold or an estimate: each action once on each lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The number of leads, 1 to [`LEADS_MAX`].
    pub leads: u64,
    /// The actions, as the catalogue names them.
    pub actions: Vec<String>,
}

impl Work {
    /// The maximum cost in credits: every action succeeds on every lead.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the leads are out of range, if there is no action, if an action is
    /// unknown or listed twice, or if the cost is larger than [`Credits::MAX`].
    pub fn maximum(&self, list: &PriceList) -> Result<Credits, Error> {
        self.cost(list, |_, credits| Some(credits))
    }

    /// The sum over all actions of `part(price, maximum cost)`, which is `None` out of range.
    ///
    /// # Errors
    /// Those of [`Work::maximum`].
    pub(in crate::domain) fn cost(
        &self,
        list: &PriceList,
        part: impl Fn(&Price, Credits) -> Option<Credits>,
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
                return Err(Error::invalid(field(), format!("`{action}` is listed twice")));
            }
            let price =
                list.price(action).map_err(|_| Error::invalid(field(), unknown_action(action)))?;
            let cost = price.credits.checked_mul(self.leads);
            let cost = cost.and_then(|cost| sum.checked_add(part(price, cost)?));
            sum = cost.ok_or_else(|| {
                let detail = format!("the work must cost at most {} credits", Credits::MAX);
                Error::invalid(field(), detail)
            })?;
        }
        Ok(sum)
    }
}
