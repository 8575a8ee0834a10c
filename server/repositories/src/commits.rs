//! Commits as they are shown: untrusted text, as one line of bounded length.

use anyhow::{Context as _, bail};
use api::{ids::AppId, sanitize};

use crate::{branches::is_id, handle::Repositories, inside};

/// Maximum number of characters of a subject.
pub(crate) const SUBJECT: usize = 200;
/// Maximum number of characters of an author's name.
const AUTHOR: usize = 100;

/// The beginning of a commit's id, as people read it.
pub fn short(commit: &str) -> &str {
    &commit[..8.min(commit.len())]
}

impl Repositories {
    /// The commits that are in `to` and not in `from`, newest first, at most `most`. An error if there are no such
    /// commits.
    pub async fn commits(
        &self,
        app: AppId,
        (from, to): (Option<&str>, &str),
        most: usize,
    ) -> anyhow::Result<Vec<api::releases::Commit>> {
        if let Some(bad) = from.iter().chain([&to]).find(|id| !is_id(id)) {
            bail!("{} is not a commit", line(bad, 40));
        }
        let repository = self.path(app);
        if !tokio::fs::try_exists(&repository).await? {
            bail!("the app does not have a repository");
        }
        let task = inside::Commits { from: from.map(Into::into), to: to.into(), most };
        let listed = self.ask(&repository, &task).await.context("list commits")?;
        Ok(listed.lines().filter_map(commit).take(most).collect())
    }
}

fn commit(text: &str) -> Option<api::releases::Commit> {
    let mut fields = text.splitn(4, '\u{1f}');
    let (id, author, at) = (fields.next()?, fields.next()?, fields.next()?);
    let at = chrono::DateTime::from_timestamp(at.parse().ok()?, 0)?;
    let subject = line(fields.next()?, SUBJECT);
    is_id(id).then(|| api::releases::Commit { id: id.to_owned(), subject, author: line(author, AUTHOR), at })
}

/// The first `most` characters of a text, sanitized like a name.
pub(crate) fn line(text: &str, most: usize) -> String {
    // git's output is bounded, but there is no need to sanitize all of it.
    let beginning: String = text.chars().take(4 * most).collect();
    let word = sanitize::word(&beginning);
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
    fn a_commit_is_read_from_its_line() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let read = commit(&format!("{id}\u{1f}Ada   \u{1f}86400\u{1f}Add a\u{7} thing   ")).unwrap();
        assert_eq!((read.id.as_str(), read.author.as_str(), read.subject.as_str()), (id, "Ada", "Add a  thing"));
        assert!(commit("x\u{1f}Ada\u{1f}86400\u{1f}Add").is_none());
    }
}
