//! Commits as they are shown: what strangers wrote, as one line of bounded length.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use api::harmless;
use base::{Result, recent::Recent};
use uuid::Uuid;

use super::{inside, is_id, plumbing, repositories};
use crate::Platform;

/// Answers that are kept at least, each of some 100 commits at most.
const REMEMBERED: usize = 200;

/// Characters of a subject that are kept.
pub(super) const SUBJECT: usize = 200;
/// Characters of an author's name that are kept.
const AUTHOR: usize = 100;

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
    fn known(&self, between: &Between) -> Option<Vec<api::releases::Commit>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(between).map(|commits| commits.to_vec())
    }

    fn remember(&self, between: Between, commits: &[api::releases::Commit]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(between, commits.into());
    }
}

/// The commits that are in `to` and not in `from`, newest first, at most `most`. `payer` waits for a place, unless
/// the answer is known. An error when there are no such commits.
pub(crate) async fn commits(
    platform: &Platform,
    payer: Uuid,
    app: Uuid,
    (from, to): (Option<&str>, &str),
    most: usize,
) -> Result<Vec<api::releases::Commit>> {
    if let Some(bad) = from.iter().chain([&to]).find(|id| !is_id(id)) {
        return Err(anyhow!("{} is not a commit", line(bad, 40)).into());
    }
    let (between, histories) = ((app, from.map(String::from), to.to_owned(), most), platform.git().histories());
    if let Some(known) = histories.known(&between) {
        return Ok(known);
    }
    let _place = platform.git().questions().take(payer).await?;
    // Who waited may have waited for the same answer.
    if let Some(known) = histories.known(&between) {
        return Ok(known);
    }
    let repository = repositories::path(platform, app);
    if !tokio::fs::try_exists(&repository).await? {
        return Err(anyhow!("the app does not have a repository").into());
    }
    let errand = inside::Commits { from: from.map(Into::into), to: to.into(), most };
    let listed = plumbing::ask(platform, &repository, &errand).await.context("list commits")?;
    let commits: Vec<_> = listed.lines().filter_map(commit).take(most).collect();
    histories.remember(between, &commits);
    Ok(commits)
}

fn commit(text: &str) -> Option<api::releases::Commit> {
    let mut fields = text.splitn(4, '\u{1f}');
    let (id, author, at) = (fields.next()?, fields.next()?, fields.next()?);
    let at = chrono::DateTime::from_timestamp(at.parse().ok()?, 0)?;
    let subject = line(fields.next()?, SUBJECT);
    is_id(id).then(|| api::releases::Commit { id: id.to_owned(), subject, author: line(author, AUTHOR), at })
}

/// The first `most` characters of a text, as a name is shown.
pub(super) fn line(text: &str, most: usize) -> String {
    // What git says is bounded, but not by so little that cleaning should see all of it.
    let beginning: String = text.chars().take(4 * most).collect();
    let word = harmless::word(&beginning);
    let word = word.trim();
    match word.char_indices().nth(most) {
        None => word.to_owned(),
        Some(_) => word.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_controls_nothing() {
        assert_eq!(line("  Fix it  ", 20), "Fix it");
        assert_eq!(line("a\u{1b}[31mred\r\nb\u{202e}c\u{9b}", 40), "a [31mred  b c");
        assert_eq!(line("äöüß", 4), "äöüß");
        assert_eq!(line("äöüßx", 4), "äöü…");
        assert_eq!(line(&"x".repeat(1 << 20), 200).chars().count(), 200);
    }

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

    #[test]
    fn a_commit_is_read_from_its_line() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let read = commit(&format!("{id}\u{1f}Ada   \u{1f}86400\u{1f}Add a\u{7} thing   ")).unwrap();
        assert_eq!((read.id.as_str(), read.author.as_str(), read.subject.as_str()), (id, "Ada", "Add a  thing"));
        assert!(commit("x\u{1f}Ada\u{1f}86400\u{1f}Add").is_none());
    }
}
