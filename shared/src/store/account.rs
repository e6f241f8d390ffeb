//! Monitored accounts: added, removed, listed, and paid for month by month.
//!
//! A bill is a charge under a key that follows from the account and the month, and the account is
//! written after it. Whoever comes after a crash in between finds the account due as before, makes the
//! same charge, which is a replay, and goes on from there. Nothing here is done only once; it is the
//! conditions of each write that make it so.

use futures_util::{StreamExt, stream};

use super::access::put;
use super::charge::Outcome;
use super::patience::Patience;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::account::{Bill, MonitoredAccount, Status};
use crate::domain::catalogue::prices;
use crate::domain::ids::{AccountId, TeamId};
use crate::domain::time::Time;

/// How many accounts are read or written at a time.
const AT_ONCE: usize = 16;

/// What came of a bill.
#[derive(Clone, Debug)]
pub struct Billed {
    /// The account after it.
    pub account: MonitoredAccount,
    /// Why the team could not pay, if it could not.
    pub refused: Option<Error>,
    /// Whether the account was changed by this call, and not by another one that did the same.
    pub by_this: bool,
}

impl Store {
    /// Monitors an account from now on. The month that it starts with is charged now, unless it is
    /// paid for already.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team), [`Error::AccountClosed`], and the refusals of the charge, after
    /// which the account stands as it did before; [`Error::Busy`], [`Error::Internal`].
    pub async fn monitor(
        &self,
        team: &TeamId,
        id: &AccountId,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        self.pool(team, now).await?.check_open()?;
        let mut patience = self.patience();
        loop {
            let found = self.read_account(team, id).await?;
            let seen =
                found.unwrap_or_else(|| MonitoredAccount::new(team.clone(), id.clone(), now.day()));
            if let Some(added) = self.save(&seen, seen.added(now.day()), &mut patience).await? {
                if added.starting.is_none() {
                    return Ok(added);
                }
                let Billed { account, refused, .. } = self.charge_month(added, now).await?;
                match refused {
                    Some(error) => return Err(error),
                    None if account.status == Status::Active => return Ok(account),
                    // Somebody else came between, and the month is paid.
                    None => {}
                }
            }
            patience.pause().await?;
        }
    }

    /// Monitors an account no longer. What is paid stays paid.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team or the account), [`Error::AccountClosed`]; [`Error::Busy`],
    /// [`Error::Internal`].
    pub async fn stop_monitoring(
        &self,
        team: &TeamId,
        id: &AccountId,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        self.pool(team, now).await?.check_open()?;
        let mut patience = self.patience();
        loop {
            let found = self.read_account(team, id).await?;
            let seen = found.ok_or_else(gone)?;
            if let Some(bill) = seen.bill(now.day()).filter(|_| seen.starting.is_some()) {
                // Its first month may have been charged already, by a process that died then.
                let is_charged = self.is_charged(&seen, &bill, now).await?;
                let known = |seen: &MonitoredAccount| {
                    if is_charged { seen.paid(&bill) } else { seen.unpaid(&bill, now) }
                };
                self.follow(seen, known).await?;
            } else if let Some(removed) = self.save(&seen, seen.removed(), &mut patience).await? {
                return Ok(removed);
            }
            patience.pause().await?;
        }
    }

    /// All accounts that a team has monitored, by their ids, those that it has removed included.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn monitored(&self, team: &TeamId) -> Result<Vec<MonitoredAccount>, Error> {
        let found = self.range(keys::team(team), keys::ACCOUNTS, keys::ACCOUNTS_END).await?;
        let accounts = found.into_iter().map(serde_dynamo::from_item);
        accounts.collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Charges the months of these accounts of a team that are to be paid, all in as few writes as a
    /// batch needs. One that the team cannot pay is paused. Nothing comes of an account that owes
    /// nothing.
    ///
    /// Each failure is [`Error::Busy`] or [`Error::Internal`]; the account stays due after it.
    pub async fn bill(
        &self,
        team: &TeamId,
        accounts: Vec<AccountId>,
        now: Time,
    ) -> Vec<Result<Billed, Error>> {
        let read = stream::iter(accounts).map(async |id| {
            let account = self.read_account(team, &id).await?.ok_or_else(gone)?;
            self.make_sure(account, now).await
        });
        let read: Vec<_> = read.buffered(AT_ONCE).collect().await;
        let mut billed = Vec::new();
        let mut owing = Vec::new();
        for account in read {
            match account {
                Ok(account) => owing.push(account),
                Err(error) => billed.push(Err(error)),
            }
        }
        billed.extend(self.charge_months(team, owing, now).await);
        billed
    }

    /// The account, of which it is known whether the last bill that was refused is paid.
    async fn make_sure(
        &self,
        account: MonitoredAccount,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        let Some(bill) = account.doubtful(now) else { return Ok(account) };
        let is_charged = self.is_charged(&account, &bill, now).await?;
        let known = |seen: &MonitoredAccount| {
            if is_charged { seen.paid(&bill) } else { seen.unpaid_for_good(&bill) }
        };
        self.follow(account, known).await.map(|(account, _)| account)
    }

    /// Whether anybody has charged a bill.
    async fn is_charged(
        &self,
        account: &MonitoredAccount,
        bill: &Bill,
        now: Time,
    ) -> Result<bool, Error> {
        let entry = account.entry(bill, prices(now)?, now)?;
        Ok(self.get(keys::entry(&entry)).await?.is_some())
    }

    async fn charge_month(&self, account: MonitoredAccount, now: Time) -> Result<Billed, Error> {
        let (team, as_it_is) = (account.team.clone(), account.clone());
        let billed = self.charge_months(&team, vec![account], now).await.pop();
        billed.unwrap_or(Ok(Billed { account: as_it_is, refused: None, by_this: false }))
    }

    async fn charge_months(
        &self,
        team: &TeamId,
        accounts: Vec<MonitoredAccount>,
        now: Time,
    ) -> Vec<Result<Billed, Error>> {
        let mut billed = Vec::new();
        let (mut owing, mut entries) = (Vec::new(), Vec::new());
        for account in accounts {
            let Some(bill) = account.bill(now.day()) else { continue };
            match prices(now).and_then(|list| account.entry(&bill, list, now)) {
                Ok(entry) => {
                    entries.push(entry);
                    owing.push((account, bill));
                }
                Err(error) => billed.push(Err(error)),
            }
        }
        let outcomes = self.charge(team, entries, now).await;
        let noted = stream::iter(owing.into_iter().zip(outcomes))
            .map(async |((account, bill), outcome)| self.note(account, &bill, outcome, now).await);
        billed.extend(noted.buffered(AT_ONCE).collect::<Vec<_>>().await);
        billed
    }

    /// Takes down what came of a bill.
    async fn note(
        &self,
        account: MonitoredAccount,
        bill: &Bill,
        outcome: Outcome,
        now: Time,
    ) -> Result<Billed, Error> {
        let refused = match outcome {
            Outcome::Charged(_) | Outcome::Replayed(_) => None,
            Outcome::Refused(error) if error.is_retryable() => return Err(error),
            Outcome::Refused(error) => Some(error),
        };
        let noted = |seen: &MonitoredAccount| match &refused {
            None => seen.paid(bill),
            Some(Error::AccountClosed) => seen.removed(),
            Some(_) => seen.unpaid(bill, now),
        };
        let (account, by_this) = self.follow(account, noted).await?;
        Ok(Billed { account, refused, by_this })
    }

    /// Writes what follows after an account, however often that moves on meanwhile. The account after
    /// it, and whether it was changed.
    async fn follow(
        &self,
        account: MonitoredAccount,
        after: impl Fn(&MonitoredAccount) -> MonitoredAccount,
    ) -> Result<(MonitoredAccount, bool), Error> {
        let mut patience = self.patience();
        let mut seen = account;
        loop {
            let after = after(&seen);
            let is_changed = after != seen;
            if let Some(account) = self.save(&seen, after, &mut patience).await? {
                return Ok((account, is_changed));
            }
            patience.pause().await?;
            seen = self.read_account(&seen.team, &seen.id).await?.ok_or_else(gone)?;
        }
    }

    async fn read_account(
        &self,
        team: &TeamId,
        id: &AccountId,
    ) -> Result<Option<MonitoredAccount>, Error> {
        let found = self.get(keys::account(team, id)).await?;
        found.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }

    /// Writes what follows after an account as it was seen, if that is something else. `None` if it
    /// has moved on since.
    async fn save(
        &self,
        seen: &MonitoredAccount,
        after: MonitoredAccount,
        patience: &mut Patience,
    ) -> Result<Option<MonitoredAccount>, Error> {
        if after == *seen {
            return Ok(Some(after));
        }
        let after = MonitoredAccount { version: seen.version.saturating_add(1), ..after };
        let mut item: keys::Item = serde_dynamo::to_item(&after).map_err(Error::internal)?;
        item.extend(keys::account_with_due(&after));
        let write = aws_sdk_dynamodb::types::Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR version = :seen")
            .expression_attribute_values(":seen", keys::number(seen.version))
            .build()
            .map_err(Error::internal)?;
        let cancelled = self.transact(vec![put(write)], patience).await?;
        Ok(cancelled.is_none().then_some(after))
    }
}

const fn gone() -> Error {
    Error::NotFound("monitored account")
}
