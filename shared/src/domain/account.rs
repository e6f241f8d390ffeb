//! Monitored accounts: what custom signals watch, paid for by the month.
//!
//! A month runs from the day on which the account was added to the same day of the next month, or its
//! last, as a plan's cycle does. It is paid when it begins. A month that is paid stays so whatever
//! happens to the account meanwhile, and an account whose month the team cannot pay is paused: there
//! is no debt.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Error;
use super::catalogue::PriceList;
use super::cycle::Cycle;
use super::entry::Entry;
use super::ids::{AccountId, TeamId};
use super::time::Time;

/// What a month is charged as.
const ACTION: &str = "signal_custom";

/// How a monitored account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is watched, and paid for month by month.
    Active,
    /// The team could not pay its month.
    Paused,
    /// It is not to be watched any more.
    Removed,
}

/// An account that a team has, or had, monitored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoredAccount {
    /// Its id, as the product names it.
    pub id: AccountId,
    /// The team.
    pub team: TeamId,
    /// How it stands.
    pub status: Status,
    /// The day on which it was added, or last started again: the anchor of its months.
    pub since: Date,
    /// The first day that is not paid for.
    pub paid_until: Date,
    /// The day from which on somebody wants it, until it has turned out whether the team can pay
    /// that month. It stands as it did until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting: Option<Date>,
    /// The last bill that the team could not pay, as long as somebody else may still have it paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Counts the writes. One that was decided on an older image must not land.
    pub version: u64,
}

/// A month that is to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    anchor: Date,
    month: Cycle,
}

/// A bill that was refused to one process. Another one may charge it just then, because credits have
/// come in, and die before it can say so. Whether it was charged is known for good when no process of
/// that time can be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    bill: Bill,
    /// From this instant on it is known.
    known_at: Time,
    /// Whether the account is wanted if it turns out to be paid.
    is_wanted: bool,
}

/// The longest life of a process, in seconds: that of a Lambda invocation.
const LONGEST_LIFE: u32 = 15 * 60;

impl MonitoredAccount {
    /// One that nobody has asked for before.
    #[must_use]
    pub const fn new(team: TeamId, id: AccountId, today: Date) -> Self {
        Self {
            id,
            team,
            status: Status::Removed,
            since: today,
            paid_until: today,
            starting: None,
            refused: None,
            version: 0,
        }
    }

    /// As somebody wants it who adds it: nothing changes while it is active, a month that is paid
    /// goes on, and any other starts today.
    #[must_use]
    pub fn added(&self, today: Date) -> Self {
        match self.status {
            Status::Active => self.clone(),
            Status::Removed if today < self.paid_until => {
                Self { status: Status::Active, ..self.clone() }
            }
            Status::Removed | Status::Paused => {
                Self { starting: self.starting.or(Some(today)), ..self.clone() }
            }
        }
    }

    /// As somebody wants it who removes it.
    #[must_use]
    pub fn removed(&self) -> Self {
        let refused = self.refused.map(|refused| Refused { is_wanted: false, ..refused });
        Self { status: Status::Removed, starting: None, refused, ..self.clone() }
    }

    /// The month that is to be paid: the one with which it starts; or else, however many were missed,
    /// the one that holds today.
    #[must_use]
    pub fn bill(&self, today: Date) -> Option<Bill> {
        match (self.starting, self.status) {
            (Some(day), _) => Some(Bill { anchor: day, month: Cycle::holding(day, day) }),
            (None, Status::Active) if self.paid_until <= today => {
                Some(Bill { anchor: self.since, month: Cycle::holding(self.since, today) })
            }
            (None, Status::Active | Status::Paused | Status::Removed) => None,
        }
    }

    /// The bill that was refused, once it can be known whether it was charged all the same.
    #[must_use]
    pub fn doubtful(&self, now: Time) -> Option<Bill> {
        self.refused.filter(|refused| refused.known_at <= now).map(|refused| refused.bill)
    }

    /// Once it is known that a bill which was refused was charged by nobody.
    #[must_use]
    pub fn unpaid_for_good(&self, bill: &Bill) -> Self {
        Self { refused: self.refused.filter(|refused| refused.bill != *bill), ..self.clone() }
    }

    /// The ledger entry of a bill at the prices of `list`. It is the same whoever writes it, so a
    /// month is charged once.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the list has no such action, [`Error::Internal`].
    pub fn entry(&self, bill: &Bill, list: &PriceList, at: Time) -> Result<Entry, Error> {
        let key = format!("monitoring:{}:{}", self.id, bill.month.start);
        let price = list.price(ACTION)?;
        let outcome = price.outcome(None)?;
        Ok(Entry {
            credits: price.cost(1, outcome, false)?.lost(),
            action: Some(ACTION.to_owned()),
            quantity: Some(1),
            outcome: Some(outcome.to_owned()),
            own_key: Some(false),
            price_version: Some(list.version.to_owned()),
            ..Entry::of_account(
                &self.team,
                self.id.clone(),
                key.parse().map_err(Error::internal)?,
                at,
            )
        })
    }

    /// After a bill was charged, whatever has happened to the account meanwhile.
    #[must_use]
    pub fn paid(&self, bill: &Bill) -> Self {
        let refused = self.refused.filter(|refused| refused.bill != *bill);
        if self.paid_until >= bill.month.end {
            return Self { refused, ..self.clone() };
        }
        let was_wanted = self.refused.is_some_and(|it| it.bill == *bill && it.is_wanted);
        let is_wanted = was_wanted || self.starting.is_some() || self.status != Status::Removed;
        Self {
            status: if is_wanted { Status::Active } else { Status::Removed },
            since: bill.anchor,
            paid_until: bill.month.end,
            starting: None,
            refused,
            ..self.clone()
        }
    }

    /// After the team could not pay a bill: one that was to start stands as before, one that was
    /// active is paused. Nothing changes if the bill is no longer open.
    #[must_use]
    pub fn unpaid(&self, bill: &Bill, now: Time) -> Self {
        let first = bill.month.start;
        let known_at = now.plus_seconds(LONGEST_LIFE);
        let refused = Some(Refused { bill: *bill, known_at, is_wanted: true });
        match (self.starting, self.status) {
            (Some(day), _) if day == first => Self { starting: None, refused, ..self.clone() },
            (None, Status::Active) if self.paid_until <= first => {
                Self { status: Status::Paused, refused, ..self.clone() }
            }
            (Some(_), _) | (None, Status::Active | Status::Paused | Status::Removed) => {
                self.clone()
            }
        }
    }

    /// When somebody has to see to it next; `None` while nothing is to be paid for it, nor in doubt.
    #[must_use]
    pub fn due_at(&self) -> Option<Time> {
        let bill = self.starting.or_else(|| self.next_bill()).map(Time::start_of);
        let known_at = self.refused.map(|refused| refused.known_at);
        bill.into_iter().chain(known_at).min()
    }

    fn next_bill(&self) -> Option<Date> {
        (self.status == Status::Active).then_some(self.paid_until)
    }
}

/// A monitored account as answers show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    id: AccountId,
    status: Status,
    since: Date,
    paid_until: Date,
    next_bill: Option<Date>,
}

impl From<MonitoredAccount> for AccountView {
    fn from(account: MonitoredAccount) -> Self {
        Self {
            next_bill: account.next_bill(),
            id: account.id,
            status: account.status,
            since: account.since,
            paid_until: account.paid_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::PRICE_LISTS;
    use jiff::civil::date;

    fn unknown(today: Date) -> MonitoredAccount {
        MonitoredAccount::new("t".parse().unwrap(), "acme".parse().unwrap(), today)
    }

    /// Added on that day, and paid for.
    fn active(today: Date) -> MonitoredAccount {
        settled(&unknown(today).added(today), today)
    }

    fn settled(account: &MonitoredAccount, today: Date) -> MonitoredAccount {
        account.paid(&account.bill(today).unwrap())
    }

    fn paused(account: &MonitoredAccount, today: Date) -> MonitoredAccount {
        refused(account, today).unpaid_for_good(&account.bill(today).unwrap())
    }

    fn refused(account: &MonitoredAccount, today: Date) -> MonitoredAccount {
        account.unpaid(&account.bill(today).unwrap(), Time::start_of(today))
    }

    #[test]
    fn each_month_is_paid_on_its_anniversary() {
        for (since, ends) in [
            (date(2027, 1, 31), [(2027, 2, 28), (2027, 3, 31), (2027, 4, 30)]),
            (date(2027, 1, 29), [(2027, 2, 28), (2027, 3, 29), (2027, 4, 29)]),
            (date(2028, 1, 30), [(2028, 2, 29), (2028, 3, 30), (2028, 4, 30)]),
            (date(2028, 2, 29), [(2028, 3, 29), (2028, 4, 29), (2028, 5, 29)]),
        ] {
            let mut account = active(since);
            for (year, month, day) in ends {
                let end = date(year, month, day);
                assert_eq!((account.status, account.paid_until), (Status::Active, end), "{since}");
                assert_eq!(account.due_at(), Some(Time::start_of(end)));
                assert_eq!(account.bill(end.yesterday().unwrap()), None);
                account = settled(&account, end);
                assert_eq!(account.since, since);
            }
        }
        let mut account = active(date(2028, 2, 29));
        account = settled(&account, date(2029, 2, 28));
        assert_eq!(account.paid_until, date(2029, 3, 29), "the anchor is still the 29th");
    }

    #[test]
    fn several_missed_months_are_one_bill() {
        let account = active(date(2027, 1, 31));
        let bill = account.bill(date(2027, 6, 15)).unwrap();
        let month = Cycle { start: date(2027, 5, 31), end: date(2027, 6, 30) };
        assert_eq!(bill, Bill { anchor: date(2027, 1, 31), month });
        assert_eq!(account.paid(&bill).paid_until, month.end);
    }

    #[test]
    fn a_month_is_paid_once_whatever_is_wanted_in_it() {
        let first = active(date(2027, 1, 10));
        assert_eq!(first.added(date(2027, 1, 20)), first);
        let removed = first.removed();
        assert_eq!((removed.due_at(), removed.bill(date(2027, 3, 1))), (None, None));
        assert_eq!(removed.added(date(2027, 2, 9)), first, "as if nothing had happened");
        let again = removed.added(date(2027, 2, 10));
        let bill = again.bill(date(2027, 2, 10)).unwrap();
        assert_eq!(bill.month.start, date(2027, 2, 10), "the month was over");
    }

    #[test]
    fn who_cannot_pay_owes_nothing() {
        let account = paused(&active(date(2027, 1, 10)), date(2027, 2, 10));
        assert_eq!((account.status, account.due_at()), (Status::Paused, None));
        assert_eq!(account.bill(date(2027, 9, 1)), None);
        let restarted = account.added(date(2027, 3, 3));
        assert_eq!(paused(&restarted, date(2027, 3, 3)), account, "refused once more");
        let restarted = settled(&restarted, date(2027, 3, 3));
        assert_eq!((restarted.status, restarted.since), (Status::Active, date(2027, 3, 3)));
        assert_eq!(restarted.paid_until, date(2027, 4, 3));
        let never = paused(&unknown(date(2027, 1, 10)).added(date(2027, 1, 10)), date(2027, 1, 10));
        assert_eq!(never, unknown(date(2027, 1, 10)));
    }

    /// Two who settle the same bill may come to know different things, or come late.
    #[test]
    fn what_was_charged_counts_whatever_came_between() {
        let today = date(2027, 2, 10);
        let account = active(date(2027, 1, 10));
        let bill = account.bill(today).unwrap();
        let paid = account.paid(&bill);
        assert_eq!(paid.paid(&bill), paid, "charged once, told twice");
        let now = Time::start_of(today);
        assert_eq!(paid.unpaid(&bill, now), paid, "the other one was told of too few credits");
        assert_eq!(account.unpaid(&bill, now).paid(&bill), paid);
        let removed = account.removed().paid(&bill);
        assert_eq!((removed.status, removed.paid_until), (Status::Removed, date(2027, 3, 10)));
        let later = settled(&paid, date(2027, 3, 10));
        assert_eq!((later.paid(&bill), later.unpaid(&bill, now)), (later.clone(), later));
    }

    #[test]
    fn what_was_refused_is_looked_at_once_more() {
        let (today, at) = (date(2027, 2, 10), |text: &str| text.parse::<Time>().unwrap());
        let account = active(date(2027, 1, 10));
        let bill = account.bill(today).unwrap();
        let paused = refused(&account, today);
        assert_eq!((paused.status, paused.bill(today)), (Status::Paused, None));
        assert_eq!(paused.due_at(), Some(at("2027-02-10T00:15:00Z")));
        assert_eq!(paused.doubtful(at("2027-02-10T00:14:59Z")), None);
        assert_eq!(paused.doubtful(at("2027-02-10T00:15:00Z")), Some(bill));
        assert_eq!(paused.paid(&bill), account.paid(&bill), "charged by who could not say so");
        assert_eq!(paused.unpaid_for_good(&bill).due_at(), None);

        let removed = paused.removed();
        assert_eq!(removed.doubtful(at("2027-02-11T00:00:00Z")), Some(bill));
        let paid = removed.paid(&bill);
        assert_eq!((paid.status, paid.paid_until), (Status::Removed, date(2027, 3, 10)));

        let start = refused(&unknown(today).added(today), today);
        assert_eq!(start.status, Status::Removed, "nobody has it monitored");
        assert_eq!(start.paid(&start.doubtful(at("2027-02-11T00:00:00Z")).unwrap()), active(today));
        let again = start.added(date(2027, 2, 11));
        assert_eq!(again.due_at(), Some(at("2027-02-10T00:15:00Z")), "both are seen to");
        let again = settled(&again, date(2027, 2, 11));
        assert_eq!((again.status, again.paid_until), (Status::Active, date(2027, 3, 11)));
    }

    #[test]
    fn a_bill_is_a_charge_under_a_key_of_its_own() {
        let account = active(date(2027, 1, 31));
        let at = "2027-02-28T00:40:00Z".parse().unwrap();
        let bill = account.bill(date(2027, 2, 28)).unwrap();
        let entry = account.entry(&bill, &PRICE_LISTS[0], at).unwrap();
        assert_eq!((entry.credits, entry.outcome.as_deref()), (-50, Some("monitored")));
        assert_eq!(entry.source(), "account#monitoring:acme:2027-02-28");
        let by_a_caller = Entry { account: None, ..entry };
        assert_ne!(by_a_caller.source(), "account#monitoring:acme:2027-02-28");
    }
}
