//! What follows from the settings: low credits are told of, and more is bought.

use super::Reference;
use crate::support::operations::{Came, TopUp};

/// What an admin has chosen, and what came of it.
#[derive(Clone, Debug)]
pub struct Choice {
    low: u64,
    top_up: Option<TopUp>,
    /// The last top-up was declined.
    declined: bool,
    /// Credits were below, when they were last looked at.
    was_low: bool,
    was_wanted: bool,
    /// The month of the last top-up, and what was bought in it.
    month: (i64, i64),
    bought: u64,
}

impl Choice {
    pub fn of_nobody() -> Self {
        let (top_up, month) = (None, (0, 0));
        Self {
            low: 100,
            top_up,
            declined: false,
            was_low: true,
            was_wanted: false,
            month,
            bought: 0,
        }
    }
}

impl Reference {
    /// Looks at what is left after anything that has moved it.
    pub fn look(&mut self) {
        let balance = self.balance();
        let is_low = balance < self.choice.low;
        self.lows += u32::from(is_low && !self.choice.was_low);
        self.choice.was_low = is_low;
        let is_wanted = self.wanted().is_some();
        if is_wanted && !self.choice.was_wanted {
            self.due += 1;
            self.waiting += 1;
        }
        self.choice.was_wanted = is_wanted;
    }

    fn wanted(&self) -> Option<TopUp> {
        let chosen = self.choice.top_up.filter(|_| !self.closed && !self.choice.declined)?;
        (self.balance() < u64::from(chosen.below)).then_some(chosen)
    }

    /// Sees to one top-up that was due. An odd number of credits is declined.
    pub fn top_up(&mut self) {
        self.waiting -= 1;
        self.lapse();
        let Some(TopUp { credits, limit, .. }) = self.wanted() else { return };
        let (year, month, _) = self.today;
        if self.choice.month != (year, month) {
            self.choice.month = (year, month);
            self.choice.bought = 0;
        }
        if self.choice.bought + u64::from(credits) > u64::from(limit) {
            return;
        }
        if credits % 2 == 1 {
            self.choice.declined = true;
            self.declined += 1;
        } else {
            self.choice.bought += u64::from(credits);
            self.receive("purchase", credits.into());
        }
        self.look();
    }

    pub fn choose(&mut self, low: u16, top_up: Option<TopUp>) -> Came {
        if !self.exists {
            return Came::NoTeam;
        }
        self.lapse();
        if self.closed {
            return Came::Closed;
        }
        // With a higher limit it is looked at anew.
        let limit = |top_up: Option<TopUp>| top_up.map(|top_up| top_up.limit);
        self.choice.was_wanted &= limit(top_up) <= limit(self.choice.top_up);
        self.choice.low = low.into();
        self.choice.top_up = top_up;
        self.choice.declined = false;
        self.look();
        Came::Done(0)
    }
}
