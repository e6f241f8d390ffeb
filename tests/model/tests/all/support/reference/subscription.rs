//! Subscriptions, changed through the API and through billing messages.

use super::calendar::months_after;
use super::{Event, Plan, Reference};
use crate::support::operations::{Answer, BillingMessage};

impl Reference {
    pub(super) fn cancel(&mut self) -> Answer {
        if let Err(refused) = self.open_team() {
            return refused;
        }
        let Some(plan) = &mut self.plan else { return Answer::NoPlan };
        plan.cancelled = true;
        Answer::Done(0)
    }

    pub(super) fn apply_message(&mut self, version: u64, message: &BillingMessage) -> Answer {
        self.exists = true;
        self.apply_due();
        let version = Some(version);
        let is_late = version <= self.newest_change;
        if self.closed {
            let is_older = is_late
                || *message == BillingMessage::Cancelled && version <= self.newest_cancellation;
            return if is_older { Answer::Done(0) } else { Answer::Closed };
        }
        match message {
            BillingMessage::Cancelled if version <= self.newest_cancellation => {}
            BillingMessage::Cancelled => {
                if let Some(plan) = self.plan.as_mut().filter(|_| !is_late) {
                    plan.cancelled = true;
                }
                self.newest_cancellation = version;
            }
            BillingMessage::Changed { plan, seats, restart } => {
                let seats = u64::from(*seats);
                let names_start = *restart && version > self.newest_start_message;
                if names_start {
                    self.newest_start_message = version;
                }
                let is_cancelled = version <= self.newest_cancellation;
                if self.is_current(plan, *restart) {
                    if !is_late {
                        self.adjust(seats);
                        self.plan.as_mut().unwrap().cancelled = is_cancelled;
                    } else if version > self.change_before_cycle && version < self.newest_change {
                        self.grant_seats(seats);
                    }
                } else {
                    // The counters start with the first plan.
                    let has_ended = self.plan.is_none() && self.counted_since.is_some();
                    let is_news = !is_late || names_start && self.newest_start < Some(self.today);
                    if is_news && !(is_cancelled && has_ended) {
                        if !is_late {
                            self.change_before_cycle = self.newest_change;
                        }
                        self.start(plan, seats);
                        self.plan.as_mut().unwrap().cancelled = is_cancelled;
                    }
                }
                self.newest_change = self.newest_change.max(version);
            }
        }
        Answer::Done(0)
    }

    /// The same start time means the same subscription.
    pub(super) fn is_current(&self, name: &str, restart: bool) -> bool {
        let today = self.today;
        self.plan
            .as_ref()
            .is_some_and(|plan| plan.name == name && (!restart || plan.anchor == today))
    }

    pub(super) fn subscribe(&mut self, name: &'static str, seats: u64, restart: bool) {
        if self.is_current(name, restart) {
            self.adjust(seats);
        } else {
            self.change_before_cycle = self.newest_change;
            self.start(name, seats);
        }
    }

    pub(super) fn adjust(&mut self, seats: u64) {
        self.grant_seats(seats);
        let plan = self.plan.as_mut().unwrap();
        plan.seats = seats;
        plan.cancelled = false;
    }

    pub(super) fn grant_seats(&mut self, seats: u64) {
        let plan = self.plan.as_mut().unwrap();
        let more = seats.saturating_sub(plan.most_seats);
        plan.most_seats = plan.most_seats.max(seats);
        let granted = if plan.name == "multichannel_expert" { 400 * more } else { 0 };
        if granted > 0 {
            self.events.push(Event::Grant(granted));
            *self.received.entry("grant").or_default() += granted;
            self.check_thresholds();
        }
        self.write("grant", i64::try_from(granted).unwrap());
    }

    pub(super) fn start(&mut self, name: &'static str, seats: u64) {
        let today = self.today;
        let lapsed = self.buckets().0;
        self.close_cycle(today, lapsed);
        self.newest_start = Some(today);
        self.plan = Some(Plan {
            name,
            seats,
            most_seats: seats,
            anchor: today,
            cycle_start: today,
            cycle_end: months_after(today, 1),
            cancelled: false,
        });
        let granted = match name {
            "free_trial" => 200,
            "multichannel_expert" => 400 * seats,
            "enterprise" => 400,
            // The accounts here are newer than the cut-off of `email_pro`.
            _ => 0,
        };
        self.reset(granted);
    }

    pub(super) fn reset(&mut self, granted: u64) {
        let (free, _) = self.buckets();
        self.write("expiry", -i64::try_from(free).unwrap());
        self.events.push(Event::Reset(granted));
        *self.received.entry("grant").or_default() += granted;
        self.write("grant", i64::try_from(granted).unwrap());
        self.check_thresholds();
    }
}
