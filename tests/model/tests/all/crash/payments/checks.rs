//! The invariants after all payments have ended.

use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::{Details, Entry, Kind};
use shared::domain::money::Amount;
use shared::domain::payment::PaymentObject;
use shared::domain::purchase::{Purchase, PurchaseStatus};
use stripe::Intent;

use super::{Life, found};
use crate::support::teams::all_entries;

impl Life {
    pub(super) async fn check(&self, seed: u64) {
        for team in &self.teams {
            self.check_team(team, seed).await;
        }
        for intent in self.stripe.account().intents() {
            assert!(intent.confirms <= 1, "seed {seed}: confirmed twice: {intent:?}");
        }
    }

    async fn check_team(&self, team: &TeamId, seed: u64) {
        let store = self.world.store();
        let entries = all_entries(&store, team).await;
        let intents: Vec<Intent> = {
            let stripe = self.stripe.account();
            stripe
                .intents()
                .filter(|it| it.metadata.get("team").is_some_and(|name| name == team.as_str()))
                .cloned()
                .collect()
        };
        let purchases = store.purchase_list(team, None, 100).await.unwrap().purchases;
        let has_paid = |intent: &&Intent| purchases.iter().any(|it| is_receipt(it, intent));
        let taken: u64 = intents.iter().filter(has_paid).map(|intent| intent.amount_received).sum();
        let bought = entries.iter().filter(|entry| entry.kind() == Kind::Purchase);
        let cents: u64 = bought.clone().map(|entry| entry.purchased().unwrap().amount.cents).sum();
        assert_eq!(taken, cents, "seed {seed}: {team}: {intents:?}");
        let credits: i64 = bought.map(|entry| entry.credits).sum();
        let pool = store.projection_read(team, self.world.now()).await.unwrap().pool;
        assert_eq!(pool.balance.purchased().gained(), credits, "seed {seed}: {team}");
        assert_eq!(pool.pending_purchases, 0, "seed {seed}: {team}");

        let of_status = |status| purchases.iter().filter(|it| it.status == status).count();
        found(0, of_status(PurchaseStatus::Paid));
        found(1, of_status(PurchaseStatus::Failed));
        found(2, purchases.iter().filter(|purchase| purchase.unassigned.is_some()).count());
        found(3, entries.iter().filter(|entry| entry.kind() == Kind::Dispute).count());
        for purchase in &purchases {
            self.check_purchase(purchase, &intents, seed);
        }
        check_disputes(&entries, &intents, &purchases, seed);
    }

    fn check_purchase(&self, purchase: &Purchase, intents: &[Intent], seed: u64) {
        let of_purchase: Vec<&Intent> = intents
            .iter()
            .filter(|intent| intent.metadata["purchase"] == purchase.id.as_str())
            .collect();
        let foreign = self.foreign.borrow();
        let (foreign, own): (Vec<&Intent>, Vec<&Intent>) = of_purchase
            .iter()
            .filter(|intent| intent.amount_received > 0)
            .partition(|intent| foreign.contains(&intent.id));
        let place = format!("seed {seed}: {purchase:?} {of_purchase:?}");
        assert!(own.len() <= 1, "paid twice: {place}");
        let is_paid = purchase.receipt.is_some() || !own.is_empty();
        let expected = if is_paid { PurchaseStatus::Paid } else { PurchaseStatus::Failed };
        assert_eq!(purchase.status, expected, "{place}");
        // An equal payment of another system may be first.
        let mut others = own.iter().chain(&foreign).filter(|intent| !is_receipt(purchase, intent));
        let has_others = others.next().is_some();
        let is_closed = self.closed.borrow().contains(&purchase.team);
        let is_unassigned = purchase.unassigned.is_some();
        assert!(!has_others || is_unassigned, "{place}");
        assert!(has_others || is_closed || !is_unassigned, "{place}");
        let direct = purchase.payment.as_ref().map(|payment| &payment.object);
        if let Some(PaymentObject::Intent(id)) = direct {
            let intent = of_purchase.iter().find(|intent| intent.id == id.as_str()).unwrap();
            assert!(intent.charge_attempts <= 1, "seed {seed}: {intent:?}");
        }
    }
}

/// Whether a payment paid a purchase.
fn is_receipt(purchase: &Purchase, intent: &Intent) -> bool {
    purchase.receipt.as_ref().is_some_and(|receipt| receipt.payment.as_str() == intent.id)
}

/// Each refund and each chargeback of a payment that added credits has one entry of 0 credits.
fn check_disputes(entries: &[Entry], intents: &[Intent], purchases: &[Purchase], seed: u64) {
    let has_paid = |intent: &&Intent| purchases.iter().any(|it| is_receipt(it, intent));
    let mut expected: u64 = 0;
    for intent in intents.iter().filter(has_paid) {
        expected += intent.refunded + if intent.disputed { intent.amount_received } else { 0 };
    }
    let mut recorded: u64 = 0;
    for entry in entries {
        if let Details::Dispute(disputed) = &entry.details {
            let Amount { cents, .. } = disputed.amount;
            recorded += cents;
            assert_eq!((entry.credits, entry.held), (0, 0), "seed {seed}");
        }
    }
    assert_eq!(recorded, expected, "seed {seed}: {intents:?}");
}
