//! A year of a team in a simulation with failed calls and stopped processes. Each operation is
//! repeated until it is answered, the relay publishes the events, and top-ups follow from them. The
//! state equals the reference after every step.
//!
//! `PROPTEST_CASES=8000 cargo test -p model year` runs a thousand years.

use std::collections::BTreeSet;

use engine::{Records, catalogue};
use proptest::prelude::*;
use serde_json::Value;
use shared::domain::ids::{Id, TeamId};
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::domain::time::Time;
use shared::lambda::{App, Clock};
use shared::store::Store;
use shared::store::history::Selection;
use simulator::{Faults, World};
use stripe::Simulated;

use crate::support::operations::{Answer, Operation};
use crate::support::payments::{FAULTS as STRIPE_FAULTS, account, deliver, with_account};
use crate::support::process::run_for_polls;
use crate::support::reference::Reference;
use crate::support::relay::{check_events, event_id, event_kind, relay_all};
use crate::support::stored_team::{apply, verified_state};
use crate::support::strategies::Year;

/// Many calls fail, without conflicts, so that no lanes open. Events of charges to lanes would be
/// later than in the reference.
pub const FAULTS: Faults = Faults { rejected: 40, throttled: 40, in_conflict: 0, lost: 40 };

/// The stream records of a year, and the expected events.
pub struct YearResult {
    pub records: Vec<Value>,
    /// The ids of the expected events of entries and purchases.
    pub ids: BTreeSet<String>,
    pub reference: Reference,
    pub is_diligent: bool,
}

pub struct YearRun {
    world: World,
    /// The store of the current process.
    store: Store,
    team: TeamId,
    account: Simulated,
    reader: Records,
    records: Vec<Value>,
    /// The number of handled events at the bus, and the top-ups among them.
    followed: usize,
    top_ups: BTreeSet<Id>,
    reference: Reference,
}

/// Runs a year.
pub async fn live(world: World, year: &Year) -> Result<YearResult, TestCaseError> {
    let (store, reader) = (world.store(), world.records().unwrap());
    let account = account(&world, |credits| credits % 2 == 1);
    account.set_faults(STRIPE_FAULTS);
    let Year { begin, is_diligent, operations } = year;
    let mut run = YearRun {
        world,
        store,
        team: "t".parse().unwrap(),
        account,
        reader,
        records: Vec::new(),
        followed: 0,
        top_ups: BTreeSet::new(),
        reference: Reference::new(*begin),
    };
    for (step, operation) in operations.iter().enumerate() {
        run.world.set_faults(FAULTS);
        run.check_operation(operation).await?;
        if step % 10 == 0 || step + 1 == operations.len() {
            run.compare(operation).await?;
        }
    }
    run.end(*is_diligent).await
}

/// A repeated request may be answered as a replay, or as paused after a refusal.
pub fn blurred(answer: Vec<Answer>) -> Vec<Answer> {
    let blur = |answer| match answer {
        Answer::Replayed(credits) => Answer::Done(credits),
        Answer::Insufficient { .. } => Answer::Paused,
        answer => answer,
    };
    answer.into_iter().map(blur).collect()
}

impl YearRun {
    fn now(&self) -> Time {
        format!("{}T00:00:00Z", self.reference.today()).parse().unwrap()
    }

    fn app(&self) -> App {
        let now = self.now();
        App::new(self.store.clone(), Clock::new(move || now), catalogue())
    }

    async fn check_operation(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        let expected = self.reference.apply(operation);
        let answer = self.until_answered(operation).await;
        // The store itself repeats a write whose answer was lost, which returns a replay.
        let is_replay = |answer: &Vec<Answer>| {
            let mut both = answer.iter().zip(&expected);
            both.any(|both| matches!(both, (Answer::Replayed(_), Answer::Done(_))))
        };
        let was_asked_again = answer.as_ref().is_none_or(is_replay);
        if was_asked_again && matches!(operation, Operation::Charge(_)) {
            // A refused charge may have been tried again, at the balance after the other charges.
            self.reference.apply(operation);
            self.until_answered(operation).await;
        }
        if let Some(answer) = answer.filter(|_| !matches!(operation, Operation::RunSchedule)) {
            prop_assert_eq!(blurred(answer), blurred(expected), "{:?}", operation);
        }
        self.follow().await
    }

    /// Repeats an operation until it is answered. Returns the answer if the first attempt was
    /// answered.
    async fn until_answered(&mut self, operation: &Operation) -> Option<Vec<Answer>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let polls = if fastrand::u8(0..4) == 0 { fastrand::u32(1..30) } else { u32::MAX };
            match run_for_polls(polls, Box::pin(self.act(operation))).await {
                None => self.store = self.world.store(),
                Some(answer) if answer.contains(&Answer::Busy) => {}
                Some(answer) => return (tries == 1).then_some(answer),
            }
        }
    }

    async fn act(&self, operation: &Operation) -> Vec<Answer> {
        if !matches!(operation, Operation::RunSchedule) {
            return apply(&self.store, &self.team, operation, self.now()).await;
        }
        let summary = refill::run(&self.app(), None).await;
        vec![if summary.failed > 0 { Answer::Busy } else { Answer::Done(0) }]
    }

    /// Relays all records and handles due top-ups until no new records appear.
    async fn follow(&mut self) -> Result<(), TestCaseError> {
        loop {
            let records = self.reader.read().unwrap();
            if records.is_empty() {
                prop_assert_eq!(
                    self.reference.top_ups_waiting,
                    0,
                    "an event of a due top-up is missing"
                );
                return Ok(());
            }
            Box::pin(relay_all(&self.world, &records)).await;
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
            prop_assert!(self.reference.top_ups_waiting > 0, "a top-up without a crossing");
            self.reference.top_up();
        }
        let event = serde_json::json!({ "detail-type": "top-up.due", "detail": detail });
        let event = event.to_string().into_bytes();
        let state = with_account(self.app(), &self.account);
        run_for_polls(fastrand::u32(1..30), Box::pin(deliver(&state, &event))).await;
        Box::pin(deliver(&state, &event)).await;
        Ok(())
    }

    async fn compare(&mut self, after: &Operation) -> Result<(), TestCaseError> {
        self.world.set_faults(Faults::NONE);
        let seen = verified_state(&self.store, &self.team, self.now()).await;
        prop_assert_eq!(seen, self.reference.state(), "after {:?}", after);
        self.follow().await
    }

    async fn end(self, is_diligent: bool) -> Result<YearResult, TestCaseError> {
        let Self { store, team, records, reference, .. } = self;
        let history =
            store.history_list(&team, &Selection::default(), None, 100_000).await.unwrap();
        assert!(history.next.is_none());
        let entries = history.entries.iter();
        let mut ids: BTreeSet<String> = entries
            .filter_map(|entry| Some(event_id(&team, event_kind(entry)?, &entry.id)))
            .collect();
        let mut declined = 0;
        for event in &self.top_ups {
            let id = Purchase::id_of_top_up(&team, event);
            let purchase = store.purchase_read(&team, &id).await.ok();
            if purchase.is_some_and(|purchase| purchase.status == PurchaseStatus::Failed) {
                declined += 1;
                ids.insert(event_id(&team, "purchase.failed", &id));
            }
        }
        prop_assert_eq!(declined, reference.declined);
        let result = YearResult { records, ids, reference, is_diligent };
        check_events(&self.world, &result)?;
        Ok(result)
    }
}
