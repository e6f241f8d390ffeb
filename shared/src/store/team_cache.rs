//! A bounded cache of one value for each team.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::unsync::Cache;

use crate::domain::ids::TeamId;

/// The most cached teams. The least used ones make room for new ones.
const CACHED_TEAMS_MAX: usize = 10_000;

/// One value for each of the most used teams. Clones share it.
pub(super) struct TeamCache<T>(Arc<Mutex<Cache<TeamId, T>>>);

impl<T: Clone> TeamCache<T> {
    pub(super) fn get(&self, team: &TeamId) -> Option<T> {
        self.lock().get(team).cloned()
    }

    pub(super) fn insert(&self, team: &TeamId, value: T) {
        self.lock().insert(team.clone(), value);
    }

    pub(super) fn remove(&self, team: &TeamId) {
        self.lock().remove(team);
    }

    /// Changes the value of a team, if it is cached.
    pub(super) fn update(&self, team: &TeamId, change: impl FnOnce(&mut T)) {
        if let Some(mut value) = self.lock().get_mut(team) {
            change(&mut value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache<TeamId, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for TeamCache<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Cache::new(CACHED_TEAMS_MAX))))
    }
}

impl<T> Clone for TeamCache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for TeamCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TeamCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_at_most_the_most_used_teams() {
        let cache = TeamCache::default();
        for number in 0..CACHED_TEAMS_MAX * 2 {
            cache.insert(&format!("t_{number}").parse().unwrap(), number);
        }
        assert!(cache.lock().len() <= CACHED_TEAMS_MAX);
        assert!(cache.lock().len() > CACHED_TEAMS_MAX / 2, "a full cache is not cleared");
    }
}
