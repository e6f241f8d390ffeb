//! The effects of settings: the alert of low credits and automatic top-ups.

use super::Reference;
use crate::support::operations::{Answer, TopUp};

/// The settings of a team and the state of its top-ups.
#[derive(Clone, Debug)]
pub struct Settings {
    low: u64,
    top_up: Option<TopUp>,
    /// Whether the last top-up was declined.
    declined: bool,
    /// Whether the balance was below each threshold at the last check.
    was_low: bool,
    was_due: bool,
    /// The month of the last top-up, and the credits bought in it.
    month: (i64, i64),
    bought: u64,
}

impl Settings {
    pub fn by_default() -> Self {
        let (top_up, month) = (None, (0, 0));
        Self { low: 100, top_up, declined: false, was_low: true, was_due: false, month, bought: 0 }
    }
}

impl Reference {
    /// Compares the balance with both thresholds. Called after every change of the balance.
    pub fn check_thresholds(&mut self) {
        let balance = self.balance();
        let is_low = balance < self.settings.low;
        self.low_alerts += u32::from(is_low && !self.settings.was_low);
        self.settings.was_low = is_low;
        let is_due = self.due_top_up().is_some();
        if is_due && !self.settings.was_due {
            self.top_ups_due += 1;
            self.top_ups_waiting += 1;
        }
        self.settings.was_due = is_due;
    }

    fn due_top_up(&self) -> Option<TopUp> {
        let chosen = self.settings.top_up.filter(|_| !self.closed && !self.settings.declined)?;
        (self.balance() < u64::from(chosen.below)).then_some(chosen)
    }

    /// Handles one due top-up. An odd number of credits is declined.
    pub fn top_up(&mut self) {
        self.top_ups_waiting -= 1;
        self.apply_due();
        let Some(TopUp { credits, limit, .. }) = self.due_top_up() else { return };
        let (year, month, _) = self.today;
        if self.settings.month != (year, month) {
            self.settings.month = (year, month);
            self.settings.bought = 0;
        }
        if self.settings.bought + u64::from(credits) > u64::from(limit) {
            return;
        }
        if credits % 2 == 1 {
            self.settings.declined = true;
            self.declined += 1;
        } else {
            self.settings.bought += u64::from(credits);
            self.receive("purchase", credits.into());
        }
        self.check_thresholds();
    }

    pub fn put_settings(&mut self, low: u16, top_up: Option<TopUp>) -> Answer {
        if let Err(refused) = self.open_team() {
            return refused;
        }
        // A higher limit makes a top-up due again.
        let limit = |top_up: Option<TopUp>| top_up.map(|top_up| top_up.limit);
        self.settings.was_due &= limit(top_up) <= limit(self.settings.top_up);
        self.settings.low = low.into();
        self.settings.top_up = top_up;
        self.settings.declined = false;
        self.check_thresholds();
        Answer::Done(0)
    }
}
