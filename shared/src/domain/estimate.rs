//! The expected cost of work, from a team's own hit rate.

use crate::domain::catalogue::prices::PriceList;
use crate::domain::ledger::work::Work;
use crate::domain::pool::usage::Usage;
use crate::domain::{Credits, Error};

impl Work {
    /// What it can be expected to cost: each action by the rate at which it came to something so far,
    /// or else by that of all actions, or else at most.
    ///
    /// # Errors
    /// Those of [`Work::maximum`].
    pub fn expected(&self, list: &PriceList, used: &Usage) -> Result<Credits, Error> {
        let overall = used.overall_rate();
        self.cost(list, |action, credits| {
            let rate = used.hit_rate(action).or(overall);
            rate.map_or(credits, |rate| rate.part_of(credits))
        })
    }
}
