//! The table of operations.

mod balance;
mod charges;
mod contract;
mod holds;
mod purchases;
mod teams;

use crate::operation::Operation;

pub fn operations() -> Vec<Operation> {
    [
        charges::charges(),
        holds::holds(),
        balance::balance(),
        balance::catalogue(),
        purchases::purchases(),
        teams::subscriptions(),
        teams::accounts(),
        teams::monitored_accounts(),
        teams::settings(),
        contract::contract(),
    ]
    .concat()
}
