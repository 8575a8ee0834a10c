//! Inspects what was pushed to a deployed branch, before there is a build: whether it is a commit, and small enough to
//! be checked out.

use anyhow::Result;
use api::ids::AppId;

use crate::{
    branches::{DEPLOYED, is_id},
    commits,
    handle::Repositories,
    hook::Push,
    inside::{Found, Inspect},
    limits,
};

/// The message for a client whose push follows another one that the client had not seen.
pub const STALE: &str = " !     Somebody else pushed to this branch at the same time. Fetch and push again.";

/// A commit that can be deployed.
pub struct Pushed {
    /// Its id. That of an annotated tag is the commit's that it names.
    pub commit: String,
    /// The beginning of its message.
    pub subject: String,
    /// Whether the branch is at this commit already.
    pub is_deployed: bool,
}

impl Repositories {
    /// What was pushed; or why it cannot be deployed: a message for the client, and the reason for git.
    pub async fn inspect(
        &self,
        app: AppId,
        push: &Push,
    ) -> Result<std::result::Result<Pushed, (String, &'static str)>> {
        if !DEPLOYED.contains(&push.name.as_str()) || !is_id(&push.new) || !is_id(&push.old) {
            return Ok(Err((" !     Only main and master are deployed.".into(), "not a deployed branch")));
        }
        let most_bytes = self.limits().checkout_bytes;
        let (name, old, id) = (push.name.clone(), push.old.clone(), push.new.clone());
        let task = Inspect { name, old, id, most_files: limits::MOST_FILES, most_bytes };
        let repository = self.ensure(app).await?;
        let inspected = match self.ask(&repository, &task).await {
            Ok(inspected) => inspected,
            Err(err) if err.downcast_ref::<worker::Error>().is_some_and(worker::Error::is_too_much) => {
                let line = format!(" !     The commit exceeds the limits: {}.", err.root_cause());
                return Ok(Err((line, "the commit is too large")));
            }
            Err(err) => return Err(err),
        };
        if inspected.is_stale {
            return Ok(Err((STALE.into(), "stale: the branch has moved")));
        }
        let line = match inspected.found {
            Found::Commit { id, subject } if is_id(&id) => {
                let subject = commits::line(&subject, commits::SUBJECT);
                return Ok(Ok(Pushed { commit: id, subject, is_deployed: inspected.is_deployed }));
            }
            Found::Commit { .. } | Found::NoCommit => {
                return Ok(Err((" !     Not a commit. Push a branch.".into(), "not a commit")));
            }
            Found::TooManyFiles => format!("more than {} files and folders", limits::MOST_FILES),
            Found::TooManyBytes => format!("more than {} MB of files", most_bytes >> 20),
            Found::TooLongPath => "a path that is too long".to_owned(),
            Found::Unreadable => "folders that git cannot list, possibly nested too deeply".to_owned(),
        };
        let advice = "Remove what the app does not need to build and run";
        Ok(Err((format!(" !     The commit has {line}. {advice}."), "the commit is too large")))
    }
}
