//! A year of a team in a world where calls fail and processes die: whatever is asked for is asked for
//! again until it is answered, what happens is relayed meanwhile, and top-ups follow from that. After
//! every step the team stands as a naive reference has it, which knows of no failures.
//!
//! `PROPTEST_CASES=8000 cargo test -p model year` lives a thousand years.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::Records;
use proptest::prelude::*;
use purchase::PurchaseState;
use serde_json::Value;
use shared::domain::ids::{Id, TeamId};
use shared::domain::limits::PurchaseLimits;
use shared::domain::purchase::{Purchase, Status};
use shared::domain::time::Time;
use shared::http::{App, Clock};
use shared::store::Store;
use shared::store::history::Selection;
use simulator::{Nature, World};

use crate::support::operations::{Came, Operation};
use crate::support::payments::{Provider, bring};
use crate::support::process::dies_at;
use crate::support::reference::Reference;
use crate::support::relay::{agree, event_id, relayed, told};
use crate::support::stored_team::{apply, sight};
use crate::support::strategies::Year;

/// Many calls fail, and none is in conflict with another, so that there are no lanes: what is spent
/// from them is told of later than the reference knows it.
pub const NATURE: Nature = Nature { turned_away: 40, throttled: 40, in_conflict: 0, lost: 40 };

/// What was lived, and what should be told of it.
pub struct Lived {
    pub records: Vec<Value>,
    /// The ids of the events that follow from the ledger and from purchases.
    pub ids: BTreeSet<String>,
    pub reference: Reference,
    pub is_diligent: bool,
}

pub struct Living {
    world: World,
    /// Of the process that is alive.
    store: Store,
    team: TeamId,
    payments: Arc<Provider>,
    reader: Records,
    records: Vec<Value>,
    /// How much of what has arrived at the bus was followed, and the top-ups among it.
    followed: usize,
    top_ups: BTreeSet<Id>,
    reference: Reference,
}

/// Lives a year.
pub async fn live(world: World, year: &Year) -> Result<Lived, TestCaseError> {
    let (store, reader) = (world.store(), world.records().unwrap());
    let payments = Arc::new(Provider::that_declines(|purchase| purchase.credits.get() % 2 == 1));
    let Year { begin, is_diligent, life } = year;
    let mut living = Living {
        world,
        store,
        team: "t".parse().unwrap(),
        payments,
        reader,
        records: Vec::new(),
        followed: 0,
        top_ups: BTreeSet::new(),
        reference: Reference::new(*begin),
    };
    for (step, operation) in life.iter().enumerate() {
        living.world.turn(NATURE);
        living.step(operation).await?;
        if step % 10 == 0 || step + 1 == life.len() {
            living.compare(operation).await?;
        }
    }
    living.end(*is_diligent).await
}

/// Who has lost an answer and tries again meets what it has done itself.
pub fn blurred(came: Vec<Came>) -> Vec<Came> {
    let blur = |came| match came {
        Came::Replayed(credits) => Came::Done(credits),
        Came::Short { .. } => Came::Paused,
        came => came,
    };
    came.into_iter().map(blur).collect()
}

impl Living {
    fn now(&self) -> Time {
        format!("{}T00:00:00Z", self.reference.today()).parse().unwrap()
    }

    fn app(&self) -> App {
        let now = self.now();
        App::new(self.store.clone(), Clock::new(move || now))
    }

    async fn step(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        let expected = self.reference.apply(operation);
        let came = self.until_answered(operation).await;
        // The store itself tries again what is in the table already, if the answer of the table got lost.
        let is_replay = |came: &Vec<Came>| {
            let mut both = came.iter().zip(&expected);
            both.any(|both| matches!(both, (Came::Replayed(_), Came::Done(_))))
        };
        let was_asked_again = came.as_ref().is_none_or(is_replay);
        if was_asked_again && matches!(operation, Operation::Charge(_)) {
            // A charge that was refused may have been refused again, at the balance after the others.
            self.reference.apply(operation);
            self.until_answered(operation).await;
        }
        if let Some(came) = came.filter(|_| !matches!(operation, Operation::Refill)) {
            prop_assert_eq!(blurred(came), blurred(expected), "{:?}", operation);
        }
        self.follow().await
    }

    /// What came of an operation, unless it had to be asked for more than once.
    async fn until_answered(&mut self, operation: &Operation) -> Option<Vec<Came>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let polls = if fastrand::u8(0..4) == 0 { fastrand::u32(1..30) } else { u32::MAX };
            match dies_at(polls, Box::pin(self.act(operation))).await {
                None => self.store = self.world.store(),
                Some(came) if came.contains(&Came::Busy) => {}
                Some(came) => return (tries == 1).then_some(came),
            }
        }
    }

    async fn act(&self, operation: &Operation) -> Vec<Came> {
        if !matches!(operation, Operation::Refill) {
            return apply(&self.store, &self.team, operation, self.now()).await;
        }
        let summary = refill::run(&self.app(), None).await;
        vec![if summary.failed > 0 { Came::Busy } else { Came::Done(0) }]
    }

    /// Relays what has happened, and buys what is due by that; until nothing more happens.
    async fn follow(&mut self) -> Result<(), TestCaseError> {
        loop {
            let records = self.reader.read().unwrap();
            if records.is_empty() {
                prop_assert_eq!(self.reference.waiting, 0, "nobody has told of a top-up");
                return Ok(());
            }
            Box::pin(relayed(&self.world, &records)).await;
            self.records.extend(records);
            let events = self.world.arrived().split_off(self.followed);
            self.followed += events.len();
            for event in events.iter().filter(|event| event["DetailType"] == "top-up.due") {
                self.top_up(event).await?;
            }
        }
    }

    async fn top_up(&mut self, event: &Value) -> Result<(), TestCaseError> {
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        if self.top_ups.insert(detail["id"].as_str().unwrap().parse().unwrap()) {
            prop_assert!(self.reference.waiting > 0, "a top-up is invented");
            self.reference.top_up();
        }
        let event = serde_json::json!({ "detail-type": "top-up.due", "detail": detail });
        let event = event.to_string().into_bytes();
        let payments = Arc::clone(&self.payments) as Arc<dyn purchase::payments::Payments>;
        let state = PurchaseState { app: self.app(), limits: PurchaseLimits::default(), payments };
        dies_at(fastrand::u32(1..30), Box::pin(bring(&state, &event))).await;
        Box::pin(bring(&state, &event)).await;
        Ok(())
    }

    async fn compare(&mut self, after: &Operation) -> Result<(), TestCaseError> {
        self.world.turn(Nature::CALM);
        let seen = sight(&self.store, &self.team, self.now()).await;
        prop_assert_eq!(seen, self.reference.see(), "after {:?}", after);
        self.follow().await
    }

    async fn end(self, is_diligent: bool) -> Result<Lived, TestCaseError> {
        let Self { store, team, records, reference, .. } = self;
        let history = store.history(&team, &Selection::default(), None, 100_000).await.unwrap();
        assert!(history.next.is_none());
        let entries = history.entries.iter();
        let mut ids: BTreeSet<String> =
            entries.filter_map(|entry| Some(event_id(&team, told(entry)?, &entry.id))).collect();
        let mut declined = 0;
        for event in &self.top_ups {
            let id = Purchase::id_of_top_up(&team, event);
            let purchase = store.purchase(&team, &id).await.ok();
            if purchase.is_some_and(|purchase| purchase.status == Status::Failed) {
                declined += 1;
                ids.insert(event_id(&team, "purchase.failed", &id));
            }
        }
        prop_assert_eq!(declined, reference.declined);
        let lived = Lived { records, ids, reference, is_diligent };
        agree(&self.world, &lived)?;
        Ok(lived)
    }
}
