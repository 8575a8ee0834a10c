//! Deploys a push: a build, whose output is sent to the client until its release is up. The build's job decides whether
//! the branch is moved, whatever happens to the push.

use std::time::Duration;

use api::{
    builds::{BuildStatus, Wait},
    ids::{AppId, BuildId, ReleaseId},
    sanitize,
};
use axum::body::Bytes;
use base::{Error, Kind, Result, Subject, bus, events::Originator, slots::SharedSlot};
use chrono::Utc;
use futures::{FutureExt as _, StreamExt as _, pin_mut};
use identity::{Can, still_may};
use platform::{Platform, outputs};
use repositories::{
    Pushed,
    hook::{Push, VERDICT},
    short,
};
use store::builds::BuildOfBranch;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::faults;
use super::idle;
use super::reservation::Reservation;
use super::unless_destroyed;
use crate::{Builds, addresses, builds};

/// A build is checked for its release at this interval, and whenever a change of the app is published.
const AGAIN: Duration = Duration::from_secs(2);
/// Size limit of the hook's request.
const MOST_QUESTION_BYTES: u64 = 4096;

/// The resources that a push holds.
pub(super) struct Held {
    /// Disk space, until all objects are received.
    pub reservation: Reservation,
    /// A slot for clones and pushes, until there is a build to wait for.
    pub slot: SharedSlot,
    /// The first lines for the client.
    pub notes: Vec<String>,
}

/// Serves the hook of one push, which requests a deployment over `line` and gets the output for the client, and the
/// verdict. The socket belongs to this push alone, so that no other can act on its behalf. When `lost` resolves,
/// because the client has lost access, this ends without a verdict and cancels the build.
pub(super) async fn answer(
    builds: Builds,
    app: AppId,
    originator: Originator,
    line: UnixStream,
    held: Held,
    lost: impl Future<Output = ()>,
) {
    let (mut hook, mut client) = line.into_split();
    tokio::select! {
        biased;
        () = lost => {}
        () = serve(builds, app, originator, (&mut hook, &mut client), held) => return,
    }
    // The code that kills git sends the reason to the client. The socket stays open until then, since the hook would
    // report its end as a restart of the platform.
    while matches!(hook.read(&mut [0; 64]).await, Ok(1..)) {}
}

async fn serve(
    builds: Builds,
    app: AppId,
    originator: Originator,
    (hook, client): (&mut OwnedReadHalf, &mut OwnedWriteHalf),
    held: Held,
) {
    let Held { reservation, slot, notes } = held;
    let mut hook = BufReader::new(hook);
    let mut question = Vec::new();
    let read = (&mut hook).take(MOST_QUESTION_BYTES).read_until(b'\n', &mut question).await;
    // git runs the hook when all objects are received.
    if let Err(err) = reservation.release().await {
        tracing::warn!(app.id = %app, "could not measure a repository: {err:#}");
    }
    // No deployed branch was pushed, or the client has disconnected.
    let (Ok(1..), Ok(push)) = (read, serde_json::from_slice::<Push>(&question)) else { return };
    let (out, mut lines) = mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        let client = ClientOutput { out };
        for note in &notes {
            client.line(note).await;
        }
        let deployed = deploy(&builds, app, &originator, &push, &client, &slot).await;
        let verdict = match unless_destroyed(&builds, app, deployed).await {
            Ok(Ok(commit)) => format!("ok {commit}"),
            Ok(Err(why)) => why,
            Err(err) => failure(&client, &err).await,
        };
        client.verdict(&verdict).await;
    });
    let gone = async {
        // The hook sends nothing more: a read returns when git has ended.
        let _ = hook.read(&mut [0]).await;
    };
    tokio::select! {
        () = pass_on(&mut lines, client) => {}
        () = gone => {}
    }
}

async fn pass_on(lines: &mut mpsc::Receiver<Bytes>, client: &mut OwnedWriteHalf) {
    while let Some(line) = lines.recv().await {
        if client.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// Logs an internal error, and returns the reason for the client.
async fn failure(client: &ClientOutput, err: &Error) -> String {
    let cause = match err {
        Error::Public(err) => return err.message.clone(),
        Error::Internal(cause) => cause,
    };
    client.line(&format!(" !     {}", faults::message(cause))).await;
    tracing::error!("could not finish a push: {err}");
    "platform error".to_owned()
}

/// Sends lines to the client.
struct ClientOutput {
    out: mpsc::Sender<Bytes>,
}

impl ClientOutput {
    /// Sends a line; `false` if the client has disconnected. The text may contain untrusted parts.
    async fn line(&self, text: &str) -> bool {
        self.out.send(Bytes::from(sanitize::line(text) + "\n")).await.is_ok()
    }

    /// Sends the last line. Build output cannot imitate it, since its first character is escaped there.
    async fn verdict(&self, text: &str) {
        let _ = self.out.send(Bytes::from(format!("{VERDICT}{text}\n"))).await;
    }
}

/// The commit that was deployed, or the reason for git.
type Verdict = std::result::Result<String, String>;

async fn deploy(
    builds: &Builds,
    app: AppId,
    originator: &Originator,
    push: &Push,
    client: &ClientOutput,
    slot: &SharedSlot,
) -> Result<Verdict> {
    // Access may have been revoked after the push was accepted.
    if !still_may(builds, originator.account, app, Can::Deploy).await? {
        return Ok(Err("you no longer have access to deploy this app".into()));
    }
    let app = store::apps::app_info(builds.db(), app).await?.ok_or_else(Error::no_app)?;
    wait_of(push)?;
    let Pushed { commit, subject, is_deployed } = match builds.git().inspect(app.id, push).await? {
        Ok(pushed) => pushed,
        Err((line, why)) => {
            client.line(&line).await;
            return Ok(Err(why.into()));
        }
    };
    if is_deployed {
        let branch = push.name.trim_start_matches("refs/heads/");
        client.line(&format!("-----> {branch} is at {} already.", short(&commit))).await;
        return Ok(Ok(commit));
    }
    let push = Push { new: commit, ..push.clone() };
    deploy_commit(builds, &app, originator, &push, &subject, (client, slot)).await
}

async fn deploy_commit(
    builds: &Builds,
    app: &store::apps::Row,
    originator: &Originator,
    push: &Push,
    subject: &str,
    (client, slot): (&ClientOutput, &SharedSlot),
) -> Result<Verdict> {
    if let Some(first) = under_way(builds, app.id, &push.name).await? {
        let goes_on = builds.git().contains(app.id, &push.new, &first.commit).await?;
        for line in waits_for(&first, goes_on, &app.name) {
            client.line(&line).await;
        }
    }
    let build = create(builds, app, originator, push, subject).await?;
    // From here on it waits for the build, which has its own queue.
    slot.release();
    let mut guard = Guard { platform: builds.platform().clone(), app: app.id, build: Some(build) };
    follow_build(builds, app, build, client).await?;
    let row = store::builds::build_info(builds.db(), build).await?;
    // The build still runs, but the client has disconnected: the guard cancels it.
    if row.as_ref().is_some_and(|b| b.status.is_pending()) {
        return Ok(Err("the client disconnected".into()));
    }
    guard.build = None;
    match row {
        Some(row) if row.status == BuildStatus::Succeeded => {}
        // The output says why.
        Some(row) if row.release_id.is_some() => return Ok(Err("the release failed".into())),
        _ => return Ok(Err("pre-receive hook declined".into())),
    }
    let formation = store::formation::formation_list(builds.db(), app.id).await?;
    for line in idle::types_at_zero(push, &formation, &app.name) {
        client.line(&line).await;
    }
    Ok(Ok(push.new.clone()))
}

/// The unfinished build of another push to the same branch. If that build fails, this push is next; if it succeeds, it
/// moves the branch, and this push will be rejected unless it goes on from there, so its client is warned.
async fn under_way(platform: &Platform, app: AppId, name: &str) -> Result<Option<BuildOfBranch>> {
    Ok(store::builds::build_of_branch(platform.db(), app, name).await?)
}

/// `goes_on` means that the push contains the commit that is being built.
fn waits_for(first: &BuildOfBranch, goes_on: bool, app: &str) -> Vec<String> {
    let BuildOfBranch { number, email, version, .. } = first;
    // Once it has a release, it cannot be cancelled.
    match (goes_on, version) {
        (true, None) => vec![format!(
            "-----> Build {number}, from which this push goes on, is still running. This push is built after it."
        )],
        (true, Some(version)) => vec![format!(
            "-----> v{version}, from which this push goes on, has to stay up or fail first. This push is built after that."
        )],
        (false, None) => vec![
            format!(
                " !     {email} has pushed to this branch, and build {number} is still running. This push waits for it."
            ),
            " !     If that build succeeds, the branch has moved, and you have to fetch and push again.".into(),
            format!(" !     To go first, cancel it: wharf builds:cancel {number} --app {app}"),
        ],
        (false, Some(version)) => vec![
            format!(
                " !     {email} has pushed to this branch, and v{version} has to stay up or fail first. This push waits \
                 for it."
            ),
            format!(" !     If v{version} stays up, the branch has moved, and you have to fetch and push again."),
        ],
    }
}

/// How long a push waits for its release, from its option `wait`.
fn wait_of(push: &Push) -> Result<Wait> {
    let given = push.wait.as_deref().map(str::parse::<Wait>).transpose().map_err(Error::invalid)?;
    Ok(given.unwrap_or_default())
}

/// Adds the build of a push, and logs who pushed.
pub(super) async fn create(
    builds: &Builds,
    app: &store::apps::Row,
    originator: &Originator,
    push: &Push,
    subject: &str,
) -> Result<BuildId> {
    let new = store::builds::New {
        id: BuildId::now_v7(),
        app: app.id,
        account: originator.account,
        stack: app.build_stack.clone(),
        buildpacks: addresses::buildpacks(builds.secrets(), app)?,
        source_version: Some(push.new.clone()),
        source_description: Some(subject.to_owned()),
        git: Some((push.name.clone(), push.old.clone(), push.new.clone())),
        wait: wait_of(push)?.text(),
        now: Utc::now(),
        ..store::builds::New::default()
    };
    let mut tx = builds.change(originator.clone(), Subject::app(app.id, &app.name)).await?;
    builds::create(builds, &mut tx, &new).await?;
    let commit = short(&push.new);
    let summary = format!("Pushed {commit} to {}{}.", push.name, originator.with_token());
    let data =
        serde_json::json!({ "build": new.id, "commit": push.new, "ref": push.name, "account": originator.account });
    tx.record("build.push", summary, data);
    tx.commit().await?;
    builds.said(app.id, "api", &format!("Build started by user {}", originator.email));
    Ok(new.id)
}

/// Cancels the build if the client disconnects before there is a release.
struct Guard {
    platform: Platform,
    app: AppId,
    build: Option<BuildId>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(build) = self.build else { return };
        let (platform, app) = (self.platform.clone(), self.app);
        tokio::spawn(async move {
            if matches!(store::builds::build_cancel(platform.db(), build, Utc::now()).await, Ok(true)) {
                platform.publish(Kind::Build, app);
            }
        });
    }
}

/// Forwards the output of a build, and that of the release phase of its release; returns early when the client has
/// disconnected, which cancels the build if it has no release yet.
async fn follow_build(
    platform: &Platform,
    app: &store::apps::Row,
    build: BuildId,
    client: &ClientOutput,
) -> Result<()> {
    let output = outputs::follow(platform.clone(), outputs::Output::of_build(app.id, build), 0);
    let phase = phase_of(platform, app.id, build).fuse();
    pin_mut!(output, phase);
    let (mut text, mut sent, mut after) = (sanitize::Stream::default(), 0, None);
    loop {
        tokio::select! {
            () = client.out.closed() => return Ok(()),
            found = &mut phase => after = found?,
            chunk = output.next() => match chunk {
                Some(chunk) => {
                    let chunk = chunk?;
                    sent += chunk.len() as u64;
                    let _ = client.out.send(text.feed(&chunk).into()).await;
                }
                None => {
                    let _ = client.out.send(text.finish().into()).await;
                    return Ok(());
                }
            },
        }
        // What the build has printed before comes first.
        if let Some((release, _)) = after.take_if(|(_, length)| sent >= *length) {
            follow_phase(platform, app.id, release, client).await;
        }
    }
}

/// The release of a build, if it has a release phase, and the length of the build's output before that. Resolves when the
/// build has a release, or has ended without one.
async fn phase_of(platform: &Platform, app: AppId, build: BuildId) -> Result<Option<(ReleaseId, u64)>> {
    let mut changes = platform.changes();
    loop {
        let Some(row) = store::builds::build_info(platform.db(), build).await? else { return Ok(None) };
        let release = match row.release_id {
            Some(id) => store::releases::release_info(platform.db(), id).await?,
            None => None,
        };
        if let Some(release) = release {
            let has_phase = release.status.is_pending() || release.has_output;
            let written = tokio::fs::metadata(outputs::build_file(platform, app, build)).await;
            return Ok(has_phase.then(|| (release.id, written.map_or(0, |file| file.len()))));
        }
        if !row.status.is_pending() {
            return Ok(None);
        }
        let _ = tokio::time::timeout(AGAIN, bus::concerning(&mut changes, Some(app))).await;
    }
}

/// Forwards the output of a release phase until it has ended, or the client has disconnected.
async fn follow_phase(platform: &Platform, app: AppId, release: ReleaseId, client: &ClientOutput) {
    client.line("-----> Running the release command...").await;
    let output = outputs::follow(platform.clone(), outputs::Output::of_release(app, release), 0);
    pin_mut!(output);
    loop {
        tokio::select! {
            () = client.out.closed() => return,
            chunk = output.next() => {
                let Some(Ok(chunk)) = chunk else { return };
                for line in String::from_utf8_lossy(&chunk).lines() {
                    client.line(&format!("       {line}")).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BuildOfBranch, waits_for};

    #[test]
    fn only_a_build_without_a_release_can_be_cancelled() {
        let said = |version, goes_on| {
            let (email, commit) = ("ada@example.com".to_owned(), "0123".to_owned());
            waits_for(&BuildOfBranch { number: 4, email, commit, version }, goes_on, "dusk").join("\n")
        };
        let builds = said(None, false);
        assert!(builds.contains("build 4 is still running"), "{builds}");
        assert!(builds.contains("wharf builds:cancel 4 --app dusk"), "{builds}");
        let watched = said(Some(7), false);
        assert!(watched.contains("v7 has to stay up or fail first") && !watched.contains("cancel"), "{watched}");
        for version in [None, Some(7)] {
            let text = said(version, true);
            assert!(text.contains("from which this push goes on") && !text.contains("fetch"), "{text}");
        }
    }
}
