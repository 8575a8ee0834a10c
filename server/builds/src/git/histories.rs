//! A cache of commit histories.

use std::sync::{Arc, Mutex, PoisonError};

use base::recent::Recent;
use uuid::Uuid;

/// Answers that are kept at least, each of some 100 commits at most.
const REMEMBERED: usize = 200;

/// Commits that a question is about: an app's, from one to another, and how many at most.
type Between = (Uuid, Option<String>, String, usize);

/// Answers that were found before: what lies between two commits never changes.
pub(super) struct Histories(Mutex<Recent<Between, Arc<[api::releases::Commit]>>>);

impl Default for Histories {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(REMEMBERED)))
    }
}

impl Histories {
    pub fn known(&self, between: &Between) -> Option<Vec<api::releases::Commit>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(between).map(|commits| commits.to_vec())
    }

    pub fn remember(&self, between: Between, commits: &[api::releases::Commit]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(between, commits.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_commits_is_asked_for_once() {
        let histories = Histories::default();
        let between = |app| (app, None, "a".repeat(40), 100);
        let at = chrono::DateTime::from_timestamp(0, 0).unwrap();
        let commits = [api::releases::Commit { id: "a".repeat(40), subject: "Add".into(), author: "Ada".into(), at }];
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(histories.known(&between(one)), None);
        histories.remember(between(one), &commits);
        assert_eq!(histories.known(&between(one)).as_deref(), Some(&commits[..]));
        assert_eq!(histories.known(&between(other)), None, "an app's is its own");
    }
}
