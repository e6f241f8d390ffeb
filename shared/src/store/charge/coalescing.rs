//! Concurrent calls for the same key share work.
//!
//! A lone caller works at once. Callers that arrive meanwhile wait; then one of them works for all. N concurrent
//! callers need two runs of the work.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Queues of tasks, one for each key that is worked on. Clones share them.
#[derive(Debug)]
pub(in crate::store) struct Coalescer<K, T, R>(Arc<Mutex<Queues<K, T, R>>>);

type Queues<K, T, R> = HashMap<K, Arc<Queue<T, R>>>;

#[derive(Debug)]
struct Queue<T, R> {
    waiting: Mutex<VecDeque<Waiting<T, R>>>,
    working: tokio::sync::Mutex<()>,
}

/// A task and its caller.
#[derive(Debug)]
struct Waiting<T, R> {
    task: T,
    answer: oneshot::Sender<R>,
}

/// The result of a task.
#[derive(Debug)]
pub(super) struct Answer<R> {
    pub(super) result: R,
    /// Whether this caller has worked.
    pub(super) is_own: bool,
}

impl<K: Clone + Eq + Hash, T, R> Coalescer<K, T, R> {
    /// The result of a task. Tasks of one key that `fits` together are worked on together, in their order. `None` if
    /// the caller that worked on it was dropped.
    pub(super) async fn run<Work: Future<Output = Vec<R>>>(
        &self,
        key: K,
        task: T,
        fits: impl Fn(&[T], &T) -> bool,
        work: impl Fn(Vec<T>) -> Work,
    ) -> Option<Answer<R>> {
        let guard = self.join(key);
        let queue = &guard.queue;
        let (answer, mut answered) = oneshot::channel();
        lock(&queue.waiting).push_back(Waiting { task, answer });
        let mut is_own = false;
        loop {
            tokio::select! {
                biased;
                result = &mut answered => {
                    return result.ok().map(|result| Answer { result, is_own });
                }
                _guard = queue.working.lock() => {
                    is_own = true;
                    let (tasks, answers): (Vec<T>, Vec<_>) = queue.next(&fits);
                    for (answer, result) in answers.into_iter().zip(work(tasks).await) {
                        // A caller that was dropped needs no answer.
                        let _ = answer.send(result);
                    }
                }
            }
        }
    }

    fn join(&self, key: K) -> Guard<'_, K, T, R> {
        let queue = Arc::clone(lock(&self.0).entry(key.clone()).or_default());
        Guard { queues: self, key, queue }
    }
}

impl<T, R> Queue<T, R> {
    /// The next tasks that fit together. Tasks of callers that were dropped are removed.
    fn next(&self, fits: &impl Fn(&[T], &T) -> bool) -> (Vec<T>, Vec<oneshot::Sender<R>>) {
        let mut waiting = lock(&self.waiting);
        waiting.retain(|next| !next.answer.is_closed());
        let (mut tasks, mut answers) = (Vec::new(), Vec::new());
        while waiting.front().is_some_and(|next| fits(&tasks, &next.task))
            && let Some(next) = waiting.pop_front()
        {
            tasks.push(next.task);
            answers.push(next.answer);
        }
        (tasks, answers)
    }
}

/// A caller's use of a queue. The last one removes the queue.
struct Guard<'a, K: Eq + Hash, T, R> {
    queues: &'a Coalescer<K, T, R>,
    key: K,
    queue: Arc<Queue<T, R>>,
}

impl<K: Eq + Hash, T, R> Drop for Guard<'_, K, T, R> {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues.0);
        // One reference is in the map and one here.
        if Arc::strong_count(&self.queue) <= 2 {
            queues.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, R> Default for Queue<T, R> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), working: tokio::sync::Mutex::default() }
    }
}

impl<K, T, R> Default for Coalescer<K, T, R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, T, R> Clone for Coalescer<K, T, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
