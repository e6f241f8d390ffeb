//! Concurrent charges of one payer in one process share a write.
//!
//! A lone caller writes at once. Callers that arrive during the write wait for it; then one of them writes for
//! all. N concurrent callers need two writes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Store;
use super::batch::{CHARGES_PER_WRITE_MAX, ChargeGroup};
use super::outcome::Outcome;
use super::retry::RetryBudget;
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId};
use crate::domain::time::Time;

/// A team's pool, or one of its holds.
type Payer = (TeamId, Option<Id>);

/// The write queues of a process: one for each payer that is being charged.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteQueues(Arc<Mutex<HashMap<Payer, Arc<WriteQueue>>>>);

#[derive(Debug, Default)]
struct WriteQueue {
    waiting: Mutex<VecDeque<QueuedWrite>>,
    turn: tokio::sync::Mutex<()>,
}

/// Charges that wait for a write.
#[derive(Debug)]
struct QueuedWrite {
    write: ChargeGroup,
    now: Time,
    answer: oneshot::Sender<Vec<Outcome>>,
}

impl WriteQueues {
    fn join(&self, payer: Payer) -> QueueGuard<'_> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = Arc::clone(queues.entry(payer.clone()).or_default());
        QueueGuard { queues: self, payer, queue }
    }
}

/// A caller's use of a queue. The last one removes the queue.
struct QueueGuard<'a> {
    queues: &'a WriteQueues,
    payer: Payer,
    queue: Arc<WriteQueue>,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        let mut queues = self.queues.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own and this one.
        if Arc::strong_count(&self.queue) <= 2 {
            queues.remove(&self.payer);
        }
    }
}

impl WriteQueue {
    fn wait(&self, waiting: QueuedWrite) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(waiting);
    }

    /// The next callers, in their order, that fit into one write: at most [`CHARGES_PER_WRITE_MAX`] charges,
    /// and no entry twice. Callers that no longer wait are dropped.
    fn next_group(&self) -> Vec<QueuedWrite> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut group, mut size, mut ids) = (Vec::new(), 0_usize, HashSet::new());
        while let Some(next) = waiting.pop_front() {
            if next.answer.is_closed() {
                continue;
            }
            size = size.saturating_add(next.write.charges.len());
            let fits = size <= CHARGES_PER_WRITE_MAX
                && next.write.charges.iter().all(|charge| ids.insert(charge.id.clone()));
            if !fits {
                waiting.push_front(next);
                break;
            }
            group.push(next);
        }
        group
    }
}

impl Store {
    /// Charges what fits into one write, together with concurrent charges of the same payer.
    pub(super) async fn charge_coalesced(
        &self,
        team: &TeamId,
        write: ChargeGroup,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Vec<Outcome> {
        let guard = self.queues.join((team.clone(), write.hold.clone()));
        let queue = &guard.queue;
        let own_time = budget.clone();
        loop {
            let mut has_written = false;
            let (answer, mut answered) = oneshot::channel();
            queue.wait(QueuedWrite { write: write.clone(), now, answer });
            let answered = own_time.timeout(async {
                loop {
                    tokio::select! {
                        biased;
                        answered = &mut answered => break answered,
                        _turn = queue.turn.lock() => {
                            has_written = true;
                            let group = queue.next_group();
                            Box::pin(self.charge_group(team, group, budget)).await;
                        }
                    }
                }
            });
            match answered.await {
                Err(error) => return write.refused(&error),
                // The caller that wrote ran out of time; this caller has time left.
                Ok(Ok(outcomes)) if outcomes.iter().all(is_busy) && !has_written => {}
                Ok(Ok(outcomes)) => return outcomes,
                // The caller that wrote was dropped during the write. The next attempt finds its result.
                Ok(Err(_)) => {}
            }
        }
    }

    async fn charge_group(&self, team: &TeamId, group: Vec<QueuedWrite>, budget: &mut RetryBudget) {
        let Some(now) = group.iter().map(|waiting| waiting.now).max() else { return };
        let hold = group.first().and_then(|waiting| waiting.write.hold.clone());
        let charges = group.iter().flat_map(|waiting| waiting.write.charges.clone()).collect();
        let outcomes =
            self.charge_in_one_write(team, ChargeGroup { hold, charges }, now, budget).await;
        let mut outcomes = outcomes.into_iter();
        for waiting in group {
            let own = outcomes.by_ref().take(waiting.write.charges.len()).collect();
            // A caller that no longer waits needs no answer.
            let _ = waiting.answer.send(own);
        }
    }
}

fn is_busy(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(Error::Busy))
}
