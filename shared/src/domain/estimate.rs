//! The expected cost of work, from the team's own hit rate.

use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ledger::work::Work;
use crate::domain::pool::usage::Usage;
use crate::domain::{Credits, Error};

impl Work {
    /// The expected cost in credits: the maximum cost of each action times the team's hit rate for
    /// it. An action without attempts uses the rate of all actions; without any attempt the rate is
    /// 1.
    ///
    /// # Errors
    /// Those of [`Work::maximum`]; [`Error::Internal`] if the usage leaves its range.
    pub fn expected(&self, list: &PriceList, used: &Usage) -> Result<Credits, Error> {
        let overall = used.overall_rate()?;
        self.cost(list, |price, credits| {
            let rate = used.hit_rate(price.code).or(overall);
            rate.map_or(Some(credits), |rate| rate.part_of(credits))
        })
    }
}
