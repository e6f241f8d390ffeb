//! Monitored accounts: custom signals watch them, and the team pays for them by the month.
//!
//! A month begins on the day of the month on which the account was added, or on the last day of a shorter month, like a
//! cycle. It is charged when it begins, and it stays paid. An account whose month the team cannot pay is paused; no
//! debt arises.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Error;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::{AccountId, CallerKey, TeamId};
use crate::domain::ledger::entry::{Charged, Details, Entry};
use crate::domain::subscription::cycle::Cycle;
use crate::domain::time::Time;

/// The status of a monitored account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum MonitoringStatus {
    /// It is watched, and each month is charged.
    Active,
    /// The team could not pay its month. A restart of enrichment charges it again.
    Paused,
    /// It is no longer watched.
    Removed,
}

/// An account that a team monitors or has monitored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoredAccount {
    /// The id that the product gave it.
    pub id: AccountId,
    /// The team.
    pub team: TeamId,
    /// Its status.
    pub status: MonitoringStatus,
    /// The day on which it was added or last resumed. Its months begin on this day of the month.
    pub since: Date,
    /// The first day that is not paid.
    pub paid_until: Date,
    /// The number of writes. A write is conditional on it.
    pub version: u64,
}

/// A month to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    anchor: Date,
    month: Cycle,
}

impl MonitoredAccount {
    /// An account that was not monitored before.
    #[must_use]
    pub const fn new(team: TeamId, id: AccountId, today: Date) -> Self {
        Self {
            id,
            team,
            status: MonitoringStatus::Removed,
            since: today,
            paid_until: today,
            version: 0,
        }
    }

    /// The bill to pay before the account is active; `None` if it is active or its month is paid.
    #[must_use]
    pub fn first_bill(&self, today: Date) -> Option<Bill> {
        let is_paid = self.status == MonitoringStatus::Removed && today < self.paid_until;
        let starts = self.status != MonitoringStatus::Active && !is_paid;
        starts.then(|| Bill { anchor: today, month: Cycle::containing(today, today) })
    }

    /// The bill that is due. Of several missed months it is the current one.
    #[must_use]
    pub fn due_bill(&self, today: Date) -> Option<Bill> {
        let is_due = self.status == MonitoringStatus::Active && self.paid_until <= today;
        is_due.then(|| Bill { anchor: self.since, month: Cycle::containing(self.since, today) })
    }

    /// The ledger entry of a bill at the prices of `list`. Its key is made from the account and the month.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the product has no monitored accounts, [`Error::Internal`].
    pub fn entry(&self, bill: &Bill, list: &PriceList, at: Time) -> Result<Entry, Error> {
        let key = format!("monitoring:{}:{}", self.id, bill.month.start);
        let price = list.month().ok_or_else(|| {
            Error::invalid("account", "no action is charged by the month; GET /prices lists them")
        })?;
        let outcome = price.outcome(None)?;
        let key = CallerKey::of_machine(key.parse().map_err(Error::internal)?);
        let charged = Charged {
            action: price.name.clone(),
            quantity: 1,
            outcome: Some(outcome.to_owned()),
            names_no_outcome: false,
            own_key: false,
            price_version: Some(list.version.clone()),
            account: Some(self.id.clone()),
        };
        Ok(Entry {
            credits: price.cost(1, outcome, false)?.lost(),
            metering: Some(price.metering(1)),
            ..Entry::new(&self.team, Some(key), Details::Charge(charged), at)
        })
    }

    /// The account after a bill was paid.
    #[must_use]
    pub fn paid(&self, bill: &Bill) -> Self {
        let (since, paid_until) = (bill.anchor, bill.month.end);
        Self { status: MonitoringStatus::Active, since, paid_until, ..self.clone() }
    }

    /// The account with another status.
    #[must_use]
    pub fn with_status(&self, status: MonitoringStatus) -> Self {
        Self { status, ..self.clone() }
    }

    /// The instant at which its next month is due; `None` unless it is active.
    #[must_use]
    pub fn due_at(&self) -> Option<Time> {
        self.next_bill().map(Time::start_of)
    }

    /// The day on which its next month is charged; `None` unless it is active.
    #[must_use]
    pub fn next_bill(&self) -> Option<Date> {
        (self.status == MonitoringStatus::Active).then_some(self.paid_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::fixtures::prices;
    use jiff::civil::date;

    fn unknown(today: Date) -> MonitoredAccount {
        MonitoredAccount::new("t".parse().unwrap(), "acme".parse().unwrap(), today)
    }

    fn added(account: &MonitoredAccount, today: Date) -> MonitoredAccount {
        match account.first_bill(today) {
            Some(bill) => account.paid(&bill),
            None => account.with_status(MonitoringStatus::Active),
        }
    }

    #[test]
    fn each_month_is_paid_on_its_anniversary() {
        for (since, ends) in [
            (date(2027, 1, 31), [(2027, 2, 28), (2027, 3, 31), (2027, 4, 30)]),
            (date(2027, 1, 29), [(2027, 2, 28), (2027, 3, 29), (2027, 4, 29)]),
            (date(2028, 1, 30), [(2028, 2, 29), (2028, 3, 30), (2028, 4, 30)]),
            (date(2028, 2, 29), [(2028, 3, 29), (2028, 4, 29), (2028, 5, 29)]),
        ] {
            let mut account = added(&unknown(since), since);
            for (year, month, day) in ends {
                let end = date(year, month, day);
                assert_eq!(
                    (account.status, account.paid_until),
                    (MonitoringStatus::Active, end),
                    "{since}"
                );
                assert_eq!(account.due_at(), Some(Time::start_of(end)));
                assert_eq!(account.due_bill(end.yesterday().unwrap()), None);
                account = account.paid(&account.due_bill(end).unwrap());
                assert_eq!(account.since, since);
            }
        }
        let account = added(&unknown(date(2028, 2, 29)), date(2028, 2, 29));
        let account = account.paid(&account.due_bill(date(2029, 2, 28)).unwrap());
        assert_eq!(account.paid_until, date(2029, 3, 29), "the anchor is still the 29th");
    }

    #[test]
    fn several_missed_months_are_one_bill() {
        let account = added(&unknown(date(2027, 1, 31)), date(2027, 1, 31));
        let bill = account.due_bill(date(2027, 6, 15)).unwrap();
        let month = Cycle { start: date(2027, 5, 31), end: date(2027, 6, 30) };
        assert_eq!(bill, Bill { anchor: date(2027, 1, 31), month });
        assert_eq!(account.paid(&bill).paid_until, month.end);
    }

    #[test]
    fn a_paid_month_is_not_paid_again() {
        let first = added(&unknown(date(2027, 1, 10)), date(2027, 1, 10));
        assert_eq!(added(&first, date(2027, 1, 20)), first);
        let removed = first.with_status(MonitoringStatus::Removed);
        assert_eq!((removed.due_at(), removed.due_bill(date(2027, 3, 1))), (None, None));
        assert_eq!(added(&removed, date(2027, 2, 9)), first);
        let bill = removed.first_bill(date(2027, 2, 10)).unwrap();
        assert_eq!(bill.month.start, date(2027, 2, 10), "the month was over");
    }

    #[test]
    fn a_paused_account_starts_anew_when_it_is_paid() {
        let account = added(&unknown(date(2027, 1, 10)), date(2027, 1, 10));
        let paused = account.with_status(MonitoringStatus::Paused);
        assert_eq!((paused.due_at(), paused.due_bill(date(2027, 9, 1))), (None, None));
        let restarted = added(&paused, date(2027, 3, 3));
        assert_eq!(
            (restarted.status, restarted.since),
            (MonitoringStatus::Active, date(2027, 3, 3))
        );
        assert_eq!(restarted.paid_until, date(2027, 4, 3));
    }

    #[test]
    fn a_bill_is_a_charge_under_a_key_of_its_own() {
        let account = added(&unknown(date(2027, 1, 31)), date(2027, 1, 31));
        let at = "2027-02-28T00:40:00Z".parse().unwrap();
        let bill = account.due_bill(date(2027, 2, 28)).unwrap();
        let entry = account.entry(&bill, prices(), at).unwrap();
        let outcome = entry.charged().unwrap().outcome.as_deref();
        assert_eq!((entry.credits, outcome), (-50, Some("monitored")));
        assert_eq!(entry.source(), "account#monitoring:acme:2027-02-28");
        let mut by_a_caller = entry;
        by_a_caller.charged_mut().unwrap().account = None;
        assert_eq!(by_a_caller.source(), "key#monitoring:acme:2027-02-28");
    }
}
