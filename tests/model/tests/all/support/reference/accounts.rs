//! Monitored accounts: a month is paid when it begins, or the account is paused.

use super::calendar::{Day, months_after, written};
use super::{Event, Reference, count};
use crate::support::operations::Answer;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Active,
    Paused,
    Removed,
}

#[derive(Clone, Copy, Debug)]
pub struct Account {
    status: Status,
    since: Day,
    paid_until: Day,
}

impl Reference {
    pub fn accounts(&self) -> Vec<(String, &'static str, String, String)> {
        let shown = self.accounts.iter().filter_map(|(id, account)| {
            let status = match account.status {
                Status::Active => "active",
                Status::Paused => "paused",
                Status::Removed => return None,
            };
            let (since, until) = (written(account.since), written(account.paid_until));
            Some((format!("a{id}"), status, since, until))
        });
        shown.collect()
    }

    pub fn monitor(&mut self, id: u8) -> Answer {
        if let Err(refused) = self.open_team() {
            return refused;
        }
        match self.accounts.get_mut(&id) {
            Some(account) if account.status == Status::Active => return Answer::Done(0),
            Some(account)
                if account.status == Status::Removed && self.today < account.paid_until =>
            {
                account.status = Status::Active;
                return Answer::Done(0);
            }
            _ => {}
        }
        let today = self.today;
        if let Err(refused) = self.pay_a_month() {
            return refused;
        }
        let paid_until = months_after(today, 1);
        self.accounts.insert(id, Account { status: Status::Active, since: today, paid_until });
        Answer::Done(0)
    }

    pub fn has_paused_accounts(&self) -> bool {
        self.accounts.values().any(|account| account.status == Status::Paused)
    }

    /// Pays and resumes paused accounts while the credits cover them.
    pub fn resume_accounts(&mut self) {
        let today = self.today;
        let paused = |(_, account): &(&u8, &Account)| account.status == Status::Paused;
        let ids: Vec<u8> = self.accounts.iter().filter(paused).map(|(id, _)| *id).collect();
        for id in ids {
            if self.pay_a_month().is_ok() {
                let paid_until = months_after(today, 1);
                let status = Status::Active;
                self.accounts.insert(id, Account { status, since: today, paid_until });
            }
        }
    }

    pub fn stop_monitoring(&mut self, id: u8) -> Answer {
        if let Err(refused) = self.open_team() {
            return refused;
        }
        let Some(account) = self.accounts.get_mut(&id) else { return Answer::NoAccount };
        account.status = Status::Removed;
        Answer::Done(0)
    }

    /// Charges due accounts, those due first before others.
    pub fn bill(&mut self) {
        let is_due = |account: &Account| {
            account.status == Status::Active && account.paid_until <= self.today
        };
        let due = self.accounts.iter().filter(|(_, account)| is_due(account));
        let mut due: Vec<(Day, u8)> = due.map(|(id, account)| (account.paid_until, *id)).collect();
        due.sort_unstable();
        for (_, id) in due {
            let paid = if self.closed { Err(Answer::Closed) } else { self.pay_a_month() };
            let today = self.today;
            let account = self.accounts.get_mut(&id).unwrap();
            match paid {
                Ok(()) => {
                    let mut months = 1;
                    while months_after(account.since, months) <= today {
                        months += 1;
                    }
                    account.paid_until = months_after(account.since, months);
                }
                Err(Answer::Closed) => account.status = Status::Removed,
                Err(_) => {
                    account.status = Status::Paused;
                    self.accounts_paused += 1;
                }
            }
        }
    }

    fn pay_a_month(&mut self) -> Result<(), Answer> {
        if self.paused {
            return Err(Answer::Paused);
        }
        let balance = self.balance();
        if balance < 50 {
            self.insufficient += 1;
            return Err(Answer::Insufficient { balance, required: 50 });
        }
        self.events.push(Event::Spend(50));
        count(&mut self.used, "signal_custom", [1, 1, 50]);
        self.write("charge", -50);
        self.check_thresholds();
        Ok(())
    }
}
