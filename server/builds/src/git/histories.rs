//! A cache of commit histories.

use std::sync::{Arc, Mutex, PoisonError};

use api::ids::AppId;
use base::recent::Recent;

/// The minimum number of cached histories, each of about 100 commits at most.
const REMEMBERED: usize = 200;

/// A query: the app, from one commit to another, and the maximum number of commits.
type Between = (AppId, Option<String>, String, usize);

/// A cache: the commits between two others never change.
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
        let (one, other) = (AppId::from_u128(1), AppId::from_u128(2));
        assert_eq!(histories.known(&between(one)), None);
        histories.remember(between(one), &commits);
        assert_eq!(histories.known(&between(one)).as_deref(), Some(&commits[..]));
        assert_eq!(histories.known(&between(other)), None, "an app's is its own");
    }
}
