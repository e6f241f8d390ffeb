//! Charges of one team that are made at the same time in one process share a write.
//!
//! Whoever comes first writes at once. Whoever comes meanwhile waits for that write, and then the
//! first of them writes for all. So nobody waits who is alone, and a crowd needs two writes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Store;
use super::batch::{MAX_AT_ONCE, Write};
use super::outcome::Outcome;
use super::retry::RetryBudget;
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId};
use crate::domain::time::Time;

/// What is charged to: a team's pool, or one of its holds.
type Payer = (TeamId, Option<Id>);

/// The crowds of a process, one for each payer that somebody charges right now.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowds(Arc<Mutex<HashMap<Payer, Arc<Crowd>>>>);

#[derive(Debug, Default)]
struct Crowd {
    waiting: Mutex<VecDeque<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

/// A caller who waits for a turn, of whoever it is.
#[derive(Debug)]
struct Waiting {
    write: Write,
    now: Time,
    answer: oneshot::Sender<Vec<Outcome>>,
}

impl Crowds {
    fn join(&self, payer: Payer) -> Member<'_> {
        let mut crowds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let crowd = Arc::clone(crowds.entry(payer.clone()).or_default());
        Member { crowds: self, payer, crowd }
    }
}

/// Somebody in a crowd. The last one to leave it takes it along.
struct Member<'a> {
    crowds: &'a Crowds,
    payer: Payer,
    crowd: Arc<Crowd>,
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut crowds = self.crowds.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own and this one.
        if Arc::strong_count(&self.crowd) <= 2 {
            crowds.remove(&self.payer);
        }
    }
}

impl Crowd {
    fn wait(&self, waiting: Waiting) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
    }

    /// Those who are next, in their order, as far as they fit into one write: so many charges, and
    /// no entry twice. Whoever has gone away meanwhile is left out.
    fn next_party(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut party, mut size, mut ids) = (Vec::new(), 0_usize, HashSet::new());
        while let Some(next) = waiting.pop_front() {
            if next.answer.is_closed() {
                continue;
            }
            size = size.saturating_add(next.write.charges.len());
            let fits = size <= MAX_AT_ONCE
                && next.write.charges.iter().all(|charge| ids.insert(charge.id.clone()));
            if !fits {
                waiting.push_front(next);
                break;
            }
            party.push(next);
        }
        party
    }
}

impl Store {
    /// Charges what fits into one write, together with whoever else charges the same payer now.
    pub(super) async fn charge_in_company(
        &self,
        team: &TeamId,
        write: Write,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Vec<Outcome> {
        let member = self.crowds.join((team.clone(), write.hold.clone()));
        let crowd = &member.crowd;
        let own_time = budget.clone();
        loop {
            let mut has_led = false;
            let (answer, mut answered) = oneshot::channel();
            crowd.wait(Waiting { write: write.clone(), now, answer });
            let answered = own_time.timeout(async {
                loop {
                    tokio::select! {
                        biased;
                        answered = &mut answered => break answered,
                        _turn = crowd.turn.lock() => {
                            has_led = true;
                            let party = crowd.next_party();
                            Box::pin(self.charge_party(team, party, budget)).await;
                        }
                    }
                }
            });
            match answered.await {
                Err(error) => return write.refused(&error),
                // The one who wrote for us has run out of time, and we have not.
                Ok(Ok(outcomes)) if outcomes.iter().all(is_busy) && !has_led => {}
                Ok(Ok(outcomes)) => return outcomes,
                // Without an answer, the one who wrote for us has gone away in the middle of it.
                // What came of it is found when it is tried once more.
                Ok(Err(_)) => {}
            }
        }
    }

    async fn charge_party(&self, team: &TeamId, party: Vec<Waiting>, budget: &mut RetryBudget) {
        let Some(now) = party.iter().map(|waiting| waiting.now).max() else { return };
        let hold = party.first().and_then(|waiting| waiting.write.hold.clone());
        let charges = party.iter().flat_map(|waiting| waiting.write.charges.clone()).collect();
        let outcomes = self.charge_at_once(team, Write { hold, charges }, now, budget).await;
        let mut outcomes = outcomes.into_iter();
        for waiting in party {
            let own = outcomes.by_ref().take(waiting.write.charges.len()).collect();
            // Who has gone away meanwhile needs no answer.
            let _ = waiting.answer.send(own);
        }
    }
}

fn is_busy(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(Error::Busy))
}
