//! The state of a team in the form that the model compares.

use engine::catalogue;
use shared::domain::ledger::entry::Entry;
use shared::domain::monitored_account::{self, MonitoredAccount};
use shared::domain::pool::Pool;
use shared::domain::pool::usage::{ActionUsage, Usage};
use shared::domain::statement::{Spending, Statement};

use super::operations::{ClosedCycle, Cycle, TeamState, ledger};

/// Returns the state of a pool and its ledger. Asserts that the ledger adds up to the balance and
/// the held credits.
pub fn state<'a>(
    pool: &Pool,
    held: u64,
    entries: impl Iterator<Item = &'a Entry>,
    accounts: impl Iterator<Item = &'a MonitoredAccount>,
) -> TeamState {
    let (mut credits, mut moved, mut rows) = (0, 0, Vec::new());
    for entry in entries {
        credits += entry.credits;
        moved += entry.held;
        rows.push((entry.kind().as_str().to_owned(), entry.credits));
    }
    assert_eq!(moved, i64::try_from(held).unwrap(), "the ledger adds up to the held credits");
    let total = pool.balance.credits.gained();
    assert_eq!(credits, total + moved, "the ledger adds up to the balance and the held credits");
    TeamState {
        free: pool.balance.free().get(),
        purchased: pool.balance.purchased().get(),
        held,
        plan: pool.terms.subscription.as_ref().map(|subscription| subscription.plan.clone()),
        cycle_end: pool.terms.cycle.map(|cycle| cycle.end.to_string()),
        closed: pool.check_open().is_err(),
        paused: pool.is_paused(),
        cycle: cycle(&pool.used, &Spending::of_current_cycle(pool).unwrap()),
        accounts: accounts.filter_map(account).collect(),
        ledger: ledger(rows.into_iter()),
    }
}

pub fn account(account: &MonitoredAccount) -> Option<(String, &'static str, String, String)> {
    let status = match account.status {
        monitored_account::MonitoringStatus::Active => "active",
        monitored_account::MonitoringStatus::Paused => "paused",
        monitored_account::MonitoringStatus::Removed => return None,
    };
    let [since, until] = [account.since, account.paid_until].map(|day| day.to_string());
    Some((account.id.to_string(), status, since, until))
}

pub fn cycle(used: &Usage, credits: &Spending) -> Cycle {
    let row = |row: ActionUsage| (row.action, [row.attempts, row.charged, row.credits.get()]);
    Cycle {
        used: used.actions(&catalogue()).map(row).collect(),
        spent: credits.spent.get(),
        free_spent: credits.free_spent.get(),
        granted: credits.granted.get(),
        bought: credits.purchased.get(),
        gifted: credits.gifted.get(),
    }
}

pub fn closed(statement: &Statement) -> ClosedCycle {
    ClosedCycle {
        start: statement.start.to_string(),
        end: statement.end.to_string(),
        plan: statement.plan.clone(),
        cycle: cycle(&statement.used, &statement.credits),
        expired: statement.credits.expired.unwrap().get(),
    }
}
