//! Monitored accounts: a month is paid when it begins, or the account is paused.

use super::calendar::{Day, months_after, written};
use super::{Event, Reference, count};
use crate::support::operations::Came;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    Active,
    Paused,
    Removed,
}

#[derive(Clone, Copy, Debug)]
pub struct Account {
    standing: Standing,
    since: Day,
    paid_until: Day,
}

impl Reference {
    pub fn accounts(&self) -> Vec<(String, &'static str, String, String)> {
        let shown = self.accounts.iter().filter_map(|(id, account)| {
            let standing = match account.standing {
                Standing::Active => "active",
                Standing::Paused => "paused",
                Standing::Removed => return None,
            };
            let (since, until) = (written(account.since), written(account.paid_until));
            Some((format!("a{id}"), standing, since, until))
        });
        shown.collect()
    }

    pub fn monitor(&mut self, id: u8) -> Came {
        if !self.exists {
            return Came::NoTeam;
        }
        self.lapse();
        if self.closed {
            return Came::Closed;
        }
        match self.accounts.get_mut(&id) {
            Some(account) if account.standing == Standing::Active => return Came::Done(0),
            Some(account)
                if account.standing == Standing::Removed && self.today < account.paid_until =>
            {
                account.standing = Standing::Active;
                return Came::Done(0);
            }
            _ => {}
        }
        let today = self.today;
        if let Err(refused) = self.pay_a_month() {
            return refused;
        }
        let paid_until = months_after(today, 1);
        self.accounts.insert(id, Account { standing: Standing::Active, since: today, paid_until });
        Came::Done(0)
    }

    pub fn has_paused_accounts(&self) -> bool {
        self.accounts.values().any(|account| account.standing == Standing::Paused)
    }

    /// Pays and resumes paused accounts as long as the credits cover them.
    pub fn resume_accounts(&mut self) {
        let today = self.today;
        let paused = |(_, account): &(&u8, &Account)| account.standing == Standing::Paused;
        let ids: Vec<u8> = self.accounts.iter().filter(paused).map(|(id, _)| *id).collect();
        for id in ids {
            if self.pay_a_month().is_ok() {
                let paid_until = months_after(today, 1);
                let standing = Standing::Active;
                self.accounts.insert(id, Account { standing, since: today, paid_until });
            }
        }
    }

    pub fn stop_monitoring(&mut self, id: u8) -> Came {
        if !self.exists {
            return Came::NoTeam;
        }
        self.lapse();
        if self.closed {
            return Came::Closed;
        }
        let Some(account) = self.accounts.get_mut(&id) else { return Came::NoAccount };
        account.standing = Standing::Removed;
        Came::Done(0)
    }

    /// What the schedule does about accounts, those that have waited longest first.
    pub fn bill(&mut self) {
        let is_due = |account: &Account| {
            account.standing == Standing::Active && account.paid_until <= self.today
        };
        let due = self.accounts.iter().filter(|(_, account)| is_due(account));
        let mut due: Vec<(Day, u8)> = due.map(|(id, account)| (account.paid_until, *id)).collect();
        due.sort_unstable();
        for (_, id) in due {
            let paid = if self.closed { Err(Came::Closed) } else { self.pay_a_month() };
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
                Err(Came::Closed) => account.standing = Standing::Removed,
                Err(_) => {
                    account.standing = Standing::Paused;
                    self.accounts_paused += 1;
                }
            }
        }
    }

    fn pay_a_month(&mut self) -> Result<(), Came> {
        if self.paused {
            return Err(Came::Paused);
        }
        let balance = self.balance();
        if balance < 50 {
            self.shortages += 1;
            return Err(Came::Short { balance, required: 50 });
        }
        self.events.push(Event::Spend(50));
        count(&mut self.used, "signal_custom", [1, 1, 50]);
        self.write("charge", -50);
        self.look();
        Ok(())
    }
}
