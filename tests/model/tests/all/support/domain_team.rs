//! A team in the pure domain, with maps instead of a table.

use std::collections::{BTreeMap, HashMap};

use engine::{catalogue, prices};
use shared::domain::hold::{Hold, HoldStatus};
use shared::domain::ids::{AccountId, Id};
use shared::domain::ledger::entry::{Details, Entry, Kind, Lapsed};
use shared::domain::monitored_account::{self, Bill, MonitoredAccount};
use shared::domain::pool::Pool;
use shared::domain::pool::balance::BalanceChange;
use shared::domain::pool::epochs::GROUPS_BEFORE_JOIN;
use shared::domain::pool::usage::Usage;
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::statement::Statement;
use shared::domain::subscription::SubscriptionRequest;
use shared::domain::subscription::terms::Change;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};

use crate::support::operations::{Answer, BillingMessage, ClosedCycle, Operation, TeamState};
use crate::support::stored_team::refusal;
use crate::support::teams::{account_id, hold_entry, hold_id, key, priced, settings, subscription};
use crate::support::views::{closed, state};

/// A team of the domain.
pub struct Team {
    pool: Pool,
    exists: bool,
    entries: HashMap<String, Entry>,
    holds: BTreeMap<Id, Hold>,
    accounts: BTreeMap<AccountId, MonitoredAccount>,
    pub statements: Vec<ClosedCycle>,
}

impl Team {
    pub fn new() -> Self {
        Self {
            pool: Pool::open("t".parse().unwrap()),
            exists: false,
            entries: HashMap::new(),
            holds: BTreeMap::new(),
            accounts: BTreeMap::new(),
            statements: Vec::new(),
        }
    }

    pub fn apply(&mut self, operation: &Operation, now: Time) -> Vec<Answer> {
        match operation {
            Operation::Charge(charges) => charges
                .iter()
                .map(|charge| {
                    let entry = priced(charge, &self.pool.team, now);
                    let cost = Credits::new(entry.credits.unsigned_abs());
                    match entry.hold().cloned() {
                        Some(hold) => self.capture(&entry, &hold, cost, now),
                        None => self.charge(&entry, cost, now),
                    }
                })
                .collect(),
            Operation::Purchase { key, credits } => vec![self.purchase(*key, *credits, now)],
            Operation::Gift { key, credits } => vec![self.gift(*key, *credits, now)],
            Operation::Hold { key: number, size, days } => {
                vec![self.hold(&hold_entry(&self.pool.team, *number, *size, *days, now), now)]
            }
            Operation::Release { key: number, hold } => vec![self.release(*number, *hold, now)],
            Operation::Subscribe { plan, seats, restart } => {
                self.exists = true;
                let request = subscription(plan, *seats, *restart, now);
                vec![self.decide(now, |pool| pool.subscribe(&request, &catalogue(), now))]
            }
            Operation::Cancel => vec![self.decide(now, |pool| pool.cancel(None, now))],
            Operation::Close => vec![self.decide(now, |pool| Ok(pool.close(None, now)))],
            Operation::Restart => {
                self.keep_up(now);
                vec![self.restart(now)]
            }
            Operation::Wait(_) => Vec::new(),
            Operation::RunSchedule => {
                self.keep_up(now);
                self.bill_all(now);
                vec![if self.exists { Answer::Done(0) } else { Answer::NoTeam }]
            }
            Operation::Monitor(number) => vec![self.monitor(*number, now)],
            Operation::StopMonitoring(number) => vec![self.stop_monitoring(*number, now)],
            Operation::BillingMessage { version, message } => {
                vec![self.apply_message(*version, message, now)]
            }
            Operation::PutSettings { low, top_up } => {
                self.keep_up(now);
                vec![self.if_open(|pool| pool.settings = settings(*low, *top_up))]
            }
        }
    }

    fn purchase(&mut self, number: u16, credits: u16, now: Time) -> Answer {
        let (user, credits) = ("u".parse().unwrap(), Credits::new(credits.into()));
        let purchase = Purchase::new(
            &self.pool.team,
            key(number),
            user,
            prices().offer(credits).unwrap(),
            now,
        );
        let answer = self.add(&purchase.order(), credits, now);
        if matches!(answer, Answer::Done(_)) {
            self.write(purchase.entry(now));
        }
        answer
    }

    fn gift(&mut self, number: u16, credits: u16, now: Time) -> Answer {
        let (user, credits) = ("u".parse().unwrap(), Credits::new(credits.into()));
        let gift = GiftRequest { credits, reference: None };
        let entry = gift.entry(&self.pool.team, key(number), user, now).unwrap();
        self.add(&entry, credits, now)
    }

    fn if_open(&mut self, act: impl FnOnce(&mut Pool)) -> Answer {
        if !self.exists {
            return Answer::NoTeam;
        }
        if self.pool.check_open().is_err() {
            return Answer::Closed;
        }
        act(&mut self.pool);
        Answer::Done(0)
    }

    fn restart(&mut self, now: Time) -> Answer {
        let closed = self.if_open(|_| {});
        if closed != Answer::Done(0) {
            return closed;
        }
        let is_paused = |account: &&MonitoredAccount| {
            account.status == monitored_account::MonitoringStatus::Paused
        };
        let paused: Vec<_> = self.accounts.values().filter(is_paused).cloned().collect();
        if !self.pool.is_paused() && paused.is_empty() {
            return Answer::NothingToRestart;
        }
        if let Err(error) = self.pool.check_has_credits() {
            return refusal(&error);
        }
        self.pool.paused_at = None;
        for account in paused {
            self.bill(&account, account.first_bill(now.day()).unwrap(), now);
        }
        Answer::Done(0)
    }

    fn monitor(&mut self, number: u8, now: Time) -> Answer {
        self.keep_up(now);
        let closed = self.if_open(|_| {});
        if closed != Answer::Done(0) {
            return closed;
        }
        let (team, id) = (self.pool.team.clone(), account_id(number));
        let new = || MonitoredAccount::new(team, id.clone(), now.day());
        let seen = self.accounts.get(&id).cloned().unwrap_or_else(new);
        let Some(bill) = seen.first_bill(now.day()) else {
            self.accounts.insert(id, seen.with_status(monitored_account::MonitoringStatus::Active));
            return Answer::Done(0);
        };
        match self.bill(&seen, bill, now) {
            Answer::Done(_) => Answer::Done(0),
            refused => refused,
        }
    }

    fn stop_monitoring(&mut self, number: u8, now: Time) -> Answer {
        self.keep_up(now);
        let closed = self.if_open(|_| {});
        if closed != Answer::Done(0) {
            return closed;
        }
        let Some(account) = self.accounts.get_mut(&account_id(number)) else {
            return Answer::NoAccount;
        };
        *account = account.with_status(monitored_account::MonitoringStatus::Removed);
        Answer::Done(0)
    }

    fn bill_all(&mut self, now: Time) {
        let due = |account: &&MonitoredAccount| account.due_at().is_some_and(|due| due <= now);
        let mut due: Vec<MonitoredAccount> = self.accounts.values().filter(due).cloned().collect();
        due.sort_by_key(MonitoredAccount::due_at);
        for account in due {
            self.bill(&account, account.due_bill(now.day()).unwrap(), now);
        }
    }

    fn bill(&mut self, account: &MonitoredAccount, bill: Bill, now: Time) -> Answer {
        let entry = account.entry(&bill, prices(), now).unwrap();
        let answer = self.charge(&entry, entry.amount(), now);
        let after = match answer {
            Answer::Done(_) => account.paid(&bill),
            _ if account.status != monitored_account::MonitoringStatus::Active => return answer,
            Answer::Closed => account.with_status(monitored_account::MonitoringStatus::Removed),
            _ => account.with_status(monitored_account::MonitoringStatus::Paused),
        };
        self.accounts.insert(after.id.clone(), after);
        answer
    }

    fn apply_message(&mut self, version: u64, message: &BillingMessage, now: Time) -> Answer {
        self.exists = true;
        let version = Some(version);
        self.decide(now, |pool| match message {
            BillingMessage::Changed { plan, seats, restart } => {
                let request = subscription(plan, *seats, *restart, now);
                pool.subscribe(&SubscriptionRequest { version, ..request }, &catalogue(), now)
            }
            BillingMessage::Cancelled => pool.cancel(version, now),
        })
    }

    fn decide(
        &mut self,
        now: Time,
        decide: impl FnOnce(&Pool) -> Result<Option<Change>, Error>,
    ) -> Answer {
        if !self.exists {
            return Answer::NoTeam;
        }
        self.keep_up(now);
        match decide(&self.pool) {
            Ok(change) => {
                if let Some(change) = change {
                    self.change(change);
                }
                self.keep_up(now);
                Answer::Done(0)
            }
            Err(error) => refusal(&error),
        }
    }

    fn charge(&mut self, entry: &Entry, required: Credits, now: Time) -> Answer {
        if let Some(answer) = self.refused(entry, now) {
            return answer;
        }
        if self.pool.is_paused() && entry.is_enrichment() {
            return Answer::Paused;
        }
        let Some(after) = self.pool.balance.after(BalanceChange::Charge(required)) else {
            if entry.pauses_enrichment_at(self.pool.balance.credits) {
                self.pool.paused_at = Some(now);
                self.pool.pauses += 1;
            }
            let balance = self.pool.balance.credits.get();
            return Answer::Insufficient { balance, required: required.get() };
        };
        self.pool.balance = after;
        self.pool.used.merge(&Usage::of([entry]).unwrap()).unwrap();
        self.write(entry.clone());
        Answer::Done(required.get())
    }

    fn add(&mut self, entry: &Entry, credits: Credits, now: Time) -> Answer {
        if let Some(answer) = self.refused(entry, now) {
            return answer;
        }
        self.pool.balance = self.pool.balance.after(BalanceChange::Purchase(credits)).unwrap();
        let totals = &mut self.pool.totals;
        let count =
            if entry.kind() == Kind::Gift { &mut totals.gifted } else { &mut totals.purchased };
        *count = count.checked_add(credits).unwrap();
        self.write(entry.clone());
        Answer::Done(credits.get())
    }

    fn refused(&mut self, entry: &Entry, now: Time) -> Option<Answer> {
        if let Some(answer) = self.repeated(entry) {
            return Some(answer);
        }
        if !self.exists {
            return Some(Answer::NoTeam);
        }
        if self.pool.check_open().is_err() {
            return Some(Answer::Closed);
        }
        self.keep_up(now);
        None
    }

    fn repeated(&self, entry: &Entry) -> Option<Answer> {
        let first = self.entries.get(&entry.source())?;
        let credits = if entry.kind() == Kind::Hold { first.held } else { first.credits };
        let is_same = first.answers(entry);
        Some(if is_same { Answer::Replayed(credits.unsigned_abs()) } else { Answer::KeyReused })
    }

    fn write(&mut self, entry: Entry) {
        assert!(self.entries.insert(entry.source(), entry).is_none(), "an entry is written once");
    }

    fn capture(&mut self, entry: &Entry, hold: &Id, cost: Credits, now: Time) -> Answer {
        if let Some(answer) = self.repeated(entry) {
            return answer;
        }
        let Some(hold) = self.holds.get_mut(hold) else { return Answer::NoHold };
        if hold.check_open(now).is_err() {
            return Answer::HoldClosed;
        }
        let in_pause = hold.pause.is_some() && hold.pause == self.pool.pause();
        if in_pause && entry.is_enrichment() {
            return Answer::Paused;
        }
        let Some(remaining) = hold.remaining.checked_sub(cost) else {
            return Answer::Insufficient { balance: hold.remaining.get(), required: cost.get() };
        };
        hold.remaining = remaining;
        hold.captured = hold.captured.checked_add(cost).unwrap();
        hold.used.merge(&Usage::of([entry]).unwrap()).unwrap();
        self.write(entry.clone());
        Answer::Done(cost.get())
    }

    fn hold(&mut self, entry: &Entry, now: Time) -> Answer {
        if !self.exists {
            return Answer::NoTeam;
        }
        self.keep_up(now);
        if let Some(answer) = self.repeated(entry) {
            return answer;
        }
        if self.pool.check_open().is_err() {
            return Answer::Closed;
        }
        let hold = Hold::of(entry, self.pool.hold_origin()).unwrap();
        let required = hold.credits;
        let Some(after) = self.pool.balance.after(BalanceChange::Charge(required)) else {
            let balance = self.pool.balance.credits.get();
            return Answer::Insufficient { balance, required: required.get() };
        };
        self.pool.balance = after;
        self.pool.held = self.pool.held.checked_add(required).unwrap();
        self.pool.open_holds += 1;
        self.pool.hold_epoch = self.pool.epoch;
        self.holds.insert(hold.id.clone(), hold);
        self.write(entry.clone());
        Answer::Done(required.get())
    }

    fn release(&mut self, number: u16, hold: u16, now: Time) -> Answer {
        let id = hold_id(&self.pool.team, hold);
        let Some(hold) = self.holds.get(&id) else { return Answer::NoHold };
        let captured = hold.captured.get();
        let details = Details::Release { hold: id.clone() };
        let release = Entry::new(&self.pool.team, Some(key(number)), details, now);
        let source = release.source();
        if let Some(first) = self.entries.get(&source) {
            let is_same = first.details == release.details;
            return if is_same { Answer::Replayed(captured) } else { Answer::KeyReused };
        }
        if hold.check_open(now).is_err() {
            return Answer::HoldClosed;
        }
        if self.pool.is_due(now) {
            self.keep_up(now);
        }
        self.close_hold(&id, release, HoldStatus::Released);
        Answer::Done(captured)
    }

    fn close_hold(&mut self, id: &Id, entry: Entry, status: HoldStatus) {
        let hold = self.holds.get_mut(id).unwrap();
        let rest = hold.remaining;
        let lapsed = self.pool.receive_hold(hold, entry.at).unwrap();
        hold.remaining = Credits::ZERO;
        hold.status = status;
        if !lapsed.is_zero() {
            let lapse = Details::Expiry(Lapsed::Hold { hold: id.clone() });
            let entry = Entry::new(&self.pool.team, None, lapse, entry.at);
            self.write(Entry { credits: lapsed.lost(), ..entry });
        }
        self.write(Entry { held: rest.lost(), ..entry });
    }

    fn keep_up(&mut self, now: Time) {
        while let Some(change) = self.pool.due_change(now).unwrap() {
            self.expire(change.at);
            let change = self.pool.due_change(now).unwrap().unwrap();
            self.change(change);
        }
        self.expire(now);
    }

    fn expire(&mut self, by: Time) {
        let due = |hold: &&Hold| hold.status == HoldStatus::Open && hold.expires_at <= by;
        let due: Vec<Hold> = self.holds.values().filter(due).cloned().collect();
        for hold in due {
            let (id, at) = (hold.id, hold.expires_at);
            let release = Details::Release { hold: id.clone() };
            let entry = Entry::new(&self.pool.team, None, release, at);
            self.close_hold(&id, entry, HoldStatus::Expired);
        }
    }

    fn change(&mut self, change: Change) {
        if change.balance_change.is_grant() && self.pool.owed.groups() > GROUPS_BEFORE_JOIN {
            let is_open = |hold: &&Hold| hold.status == HoldStatus::Open;
            let open: Vec<Hold> = self.holds.values().filter(is_open).cloned().collect();
            self.pool.owed = self.pool.owed.compacted(&open).unwrap();
        }
        let old = self.pool.clone();
        self.pool.apply(&change).unwrap();
        self.statements.extend(Statement::of(&old, &self.pool).unwrap().as_ref().map(closed));
        for entry in change.entries {
            self.write(entry);
        }
    }

    pub fn state(&mut self, now: Time) -> TeamState {
        self.keep_up(now);
        let open = self.holds.values().filter(|hold| hold.status == HoldStatus::Open);
        let held = open.map(|hold| hold.remaining.get()).sum();
        let listed = self.entries.values().filter(|entry| entry.kind() != Kind::Order);
        state(&self.pool, held, listed, self.accounts.values())
    }
}
