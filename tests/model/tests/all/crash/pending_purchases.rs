//! Pending purchases in a simulation: the process of a purchase is stopped at any await. Then two runs of the schedule
//! and the repeated request race, with faults. Nothing stays pending, and the credits added are those that were paid.

use std::time::Duration;

use futures_util::future::join;
use purchase::{PurchaseState, pending};
use shared::domain::Error;
use shared::domain::ledger::entry::Kind;
use shared::domain::payment::{Decline, PaymentObject, RequestedPayment};
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::store::history::Selection;
use simulator::{Faults, World};
use tokio::time::sleep;

use crate::support::payments::{FAULTS, SLOW, account, process, taken};
use crate::support::process::run_for_polls;
use crate::support::teams::{key_named, now, order, team_with};

const CREDITS: u64 = 200;

/// The number of random runs after each number of polls.
const SEEDS_PER_POLL: u64 = 5;

/// The time that an invocation of the function has.
const TIME: Option<Duration> = Some(Duration::from_secs(59));

async fn buy(process: &PurchaseState, asked: &Purchase) -> Result<(), Error> {
    process.buy(asked, Ok(())).await.map(drop)
}

/// Stops a purchase after a number of polls and lets the schedule run. Returns whether the purchase had been complete.
async fn live(world: World, polls: u32, declines: fn(u64) -> bool, closes: bool) -> bool {
    let team = team_with(&world.store(), "t", 0).await;
    let payments = account(&world, declines);
    let asked = order(&team, key_named("order"), CREDITS, now());
    let first = process(&world, &payments);
    let bought = run_for_polls(polls, Box::pin(buy(&first, &asked))).await;
    if closes {
        let store = world.store();
        store.terms_change(&team, world.now(), |pool| Ok(pool.close(None, now()))).await.unwrap();
    }
    for wait in [Duration::from_mins(6), Duration::from_hours(24)] {
        sleep(wait).await;
        world.set_faults(Faults::MANY);
        payments.set_faults(FAULTS);
        let [one, other, client] = [(); 3].map(|()| process(&world, &payments));
        let runs = join(pending::run(&one, TIME), pending::run(&other, TIME));
        // The client sends its request again, before or after the runs.
        let again = async {
            if fastrand::u8(0..3) > 0 {
                return Ok(());
            }
            sleep(Duration::from_millis(fastrand::u64(0..500))).await;
            Box::pin(buy(&client, &asked)).await
        };
        let (_, again) = Box::pin(join(runs, again)).await;
        assert!(matches!(again, Ok(()) | Err(Error::Busy | Error::AccountClosed)), "{again:?}");
        world.set_faults(Faults::NONE);
        payments.set_faults(SLOW);
    }
    sleep(Duration::from_hours(2)).await;
    let last = pending::run(&process(&world, &payments), TIME).await;
    assert_eq!((last.waiting, last.errors), (0, 0), "{polls}: {last:?}");

    let pool = world.store().projection_read(&team, world.now()).await.unwrap().pool;
    let credits = taken(&payments, team.as_str());
    let is_paid = credits > 0;
    assert_eq!(pool.balance.purchased().get(), credits, "{polls}");
    assert_eq!(pool.pending_purchases, 0, "{polls}");
    let purchases = Selection { kind: Some(Kind::Purchase), ..Selection::default() };
    let paid = world.store().history_list(&team, &purchases, None, 10).await.unwrap().entries;
    assert_eq!(paid.len(), usize::from(is_paid), "{polls}: {paid:?}");
    if let Ok(stored) = world.store().purchase_read(&team, &asked.id).await {
        let status = if is_paid { PurchaseStatus::Paid } else { PurchaseStatus::Failed };
        assert_eq!(stored.status, status, "{polls}");
    }
    matches!(bought, Some(Ok(())))
}

#[test]
fn nothing_stays_pending_after_a_stop_at_any_await() {
    for (declines, closes) in [(false, false), (false, true), (true, false), (true, true)] {
        let declines: fn(u64) -> bool = if declines { |_| true } else { |_| false };
        for polls in 1.. {
            let mut is_complete = false;
            for seed in 0..SEEDS_PER_POLL {
                let seed = u64::from(polls) * SEEDS_PER_POLL + seed;
                let run = async |world| Box::pin(live(world, polls, declines, closes)).await;
                is_complete |= simulator::run(seed, Faults::NONE, now(), run).unwrap();
            }
            if is_complete {
                assert!(polls > 5, "{polls}");
                break;
            }
        }
    }
}

/// The schedule has read a purchase without a payment. Meanwhile the request stores one.
#[test]
fn a_purchase_does_not_fail_after_another_process_requested_its_payment() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with(&store, "t", 0).await;
        let asked = order(&team, key_named("order"), CREDITS, now());
        let (seen, _) = store.purchase_begin(&asked).await.unwrap();
        let requested =
            store.purchase_put_payment(&seen, payment("pi_1"), None).await.unwrap().unwrap();
        let stored = store.purchase_fail(&seen, &Decline::because("abandoned")).await.unwrap();
        assert_eq!((stored.status, &stored), (PurchaseStatus::Pending, &requested));

        let known = Some(&requested.payment.as_ref().unwrap().customer);
        let other =
            store.purchase_put_payment(&seen, payment("pi_2"), known).await.unwrap().unwrap();
        assert_eq!(other.payment, Some(payment("pi_1")), "the first one");
        let failed = store.purchase_fail(&requested, &Decline::because("declined")).await.unwrap();
        assert_eq!(failed.status, PurchaseStatus::Failed);
        let late =
            store.purchase_put_payment(&seen, payment("pi_2"), known).await.unwrap().unwrap();
        assert_eq!(late.status, PurchaseStatus::Failed, "no payment is stored");
    })
    .unwrap();
}

/// Stripe is taking the money when the order is a day old.
#[test]
fn a_payment_that_is_processed_is_not_cancelled() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with(&store, "t", 0).await;
        let stripe = account(&world, |_| false);
        stripe.account().set_processing(true);
        let asked = order(&team, key_named("order"), CREDITS, now());
        let process = process(&world, &stripe);
        let bought = process.buy(&asked, Ok(())).await.unwrap();
        assert_eq!(bought.purchase.status, PurchaseStatus::Pending);
        sleep(Duration::from_hours(25)).await;
        assert_eq!(pending::run(&process, TIME).await.waiting, 1);
        let intent = stripe.account().intents().next().unwrap().id.clone();
        stripe.account().finish_processing(&intent, true, world.now().timestamp().as_second());
        sleep(Duration::from_hours(1)).await;
        assert_eq!(pending::run(&process, TIME).await.paid, 1);
        let paid = store.purchase_read(&team, &asked.id).await.unwrap();
        assert_eq!(paid.receipt.unwrap().payment.as_str(), intent);
    })
    .unwrap();
}

/// The money of a purchase that has failed was taken after all.
#[test]
fn money_after_a_failure_adds_the_credits_once() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with(&store, "t", 0).await;
        let asked = order(&team, key_named("order"), CREDITS, now());
        let (begun, _) = store.purchase_begin(&asked).await.unwrap();
        store.purchase_fail(&begun, &Decline::because("declined")).await.unwrap();
        for _ in 0..2 {
            let paid = store.purchase_settle(&begun, now()).await.unwrap();
            assert_eq!((paid.status, &paid.reason), (PurchaseStatus::Paid, &None));
            assert_eq!(store.purchase_read(&team, &begun.id).await.unwrap(), paid);
            assert_eq!(store.purchase_settle(&paid, now()).await.unwrap(), paid);
        }
        let pool = store.projection_read(&team, now()).await.unwrap().pool;
        assert_eq!((pool.balance.purchased().get(), pool.pending_purchases), (CREDITS, 0));
    })
    .unwrap();
}

fn payment(id: &str) -> RequestedPayment {
    let customer = "cus_1".parse().unwrap();
    RequestedPayment { customer, object: PaymentObject::Intent(id.parse().unwrap()) }
}
