//! Deploys a push: a build, whose output is sent to the client, and then the start of the first dyno.

use std::time::Duration;

use api::{
    builds::BuildStatus,
    dynos::DynoState,
    ids::{AppId, BuildId, ReleaseId},
    releases::ReleaseStatus,
    sanitize,
};
use axum::body::Bytes;
use base::{Error, Kind, Result, Subject, bus, events::Originator, slots::SharedSlot};
use chrono::Utc;
use futures::{StreamExt as _, pin_mut};
use identity::{Can, payers, still_may};
use platform::{Platform, log_lines, outputs};
use repositories::hook::{Push, VERDICT};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::faults;
use super::reservation::Reservation;
use super::unless_destroyed;
use crate::{Builds, addresses, builds};

/// How long a push waits for the first web dyno.
const BOOT: Duration = Duration::from_secs(65);
/// Meanwhile, the dyno is checked at this interval, and whenever a change of the app is published.
const AGAIN: Duration = Duration::from_secs(2);
/// A release phase may take an hour.
const PHASE: Duration = Duration::from_secs(3700);
/// Size limit of the hook's request.
const MOST_QUESTION_BYTES: u64 = 4096;

/// The resources that a push holds.
pub(super) struct Held {
    /// Disk space, until all objects are received.
    pub reservation: Reservation,
    /// A slot for clones and pushes, until there is a build to wait for.
    pub slot: SharedSlot,
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
    let Held { reservation, slot } = held;
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
        let deployed = deploy(&builds, app, &originator, &push, &client, &slot).await;
        let verdict = match unless_destroyed(&builds, app, deployed).await {
            Ok(Ok(())) => "ok".to_owned(),
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

type Verdict = std::result::Result<(), String>;

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
    let subject = match builds.git().inspect(app.id, push).await? {
        Ok(subject) => subject,
        Err((line, why)) => {
            client.line(&line).await;
            return Ok(Err(why.into()));
        }
    };
    deploy_commit(builds, &app, originator, push, &subject, (client, slot)).await
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
        for line in waits_for(&first, &app.name) {
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
    let Some(row) = row.filter(|b| b.status == BuildStatus::Succeeded) else {
        return Ok(Err("pre-receive hook declined".into()));
    };
    if let Some(release) = row.release_id {
        launch(builds, app, release, client).await?;
    }
    Ok(Ok(()))
}

/// The unfinished build of another push to the same branch. If that build fails, this push is next; if it succeeds, it
/// moves the branch, and this push will be rejected, so its client is warned.
async fn under_way(platform: &Platform, app: AppId, name: &str) -> Result<Option<(i32, String)>> {
    Ok(store::builds::build_of_branch(platform.db(), app, name).await?)
}

fn waits_for((number, email): &(i32, String), app: &str) -> [String; 3] {
    [
        format!(
            " !     {email} has pushed to this branch, and build {number} is still running. This push waits for it."
        ),
        " !     If that build succeeds, the branch has moved, and you have to fetch and push again.".into(),
        format!(" !     To go first, cancel it: wharf builds:cancel {number} --app {app}"),
    ]
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
        now: Utc::now(),
        ..store::builds::New::default()
    };
    let mut tx = builds.change(originator.clone(), Subject::app(app.id, &app.name)).await?;
    builds::create(builds, &mut tx, &new).await?;
    let summary = format!("Pushed {} to {}.", &push.new[..8.min(push.new.len())], push.name);
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

/// Forwards the output of a build; returns early when the client has disconnected, which cancels the build.
async fn follow_build(
    platform: &Platform,
    app: &store::apps::Row,
    build: BuildId,
    client: &ClientOutput,
) -> Result<()> {
    let output = outputs::follow(platform.clone(), outputs::Output::of_build(app.id, build), 0);
    pin_mut!(output);
    let mut text = sanitize::Stream::default();
    loop {
        tokio::select! {
            () = client.out.closed() => return Ok(()),
            chunk = output.next() => match chunk {
                Some(chunk) => {
                    let _ = client.out.send(text.feed(&chunk?).into()).await;
                }
                None => {
                    let _ = client.out.send(text.finish().into()).await;
                    return Ok(());
                }
            },
        }
    }
}

/// Waits for the release phase and the first web dyno, and reports the outcome. The push succeeds either way, as on
/// Heroku: the release exists, and the old dynos keep serving.
async fn launch(platform: &Platform, app: &store::apps::Row, release: ReleaseId, client: &ClientOutput) -> Result<()> {
    let Some(row) = store::releases::release_info(platform.db(), release).await? else { return Ok(()) };
    if row.status.is_pending() {
        client.line("-----> Running the release command...").await;
        let output = outputs::follow(platform.clone(), outputs::Output::of_release(app.id, release), 0);
        let relay = async {
            pin_mut!(output);
            while let Some(Ok(chunk)) = output.next().await {
                for line in String::from_utf8_lossy(&chunk).lines() {
                    client.line(&format!("       {line}")).await;
                }
            }
        };
        let _ = tokio::time::timeout(PHASE, relay).await;
    }
    let Some(row) = store::releases::release_info(platform.db(), release).await? else { return Ok(()) };
    if row.status != ReleaseStatus::Succeeded {
        client.line("").await;
        let how = match (row.cancelled_at, row.error) {
            (Some(_), Some(why)) => format!("was {why}"),
            _ => "failed".to_owned(),
        };
        client
            .line(&format!(" !     The release phase of v{} {how}. The previous release keeps running.", row.version))
            .await;
        client.line(&format!(" !     Its output: wharf releases:output v{} --app {}", row.version, app.name)).await;
        return Ok(());
    }
    let url = platform.config().app_url(&app.name);
    match tokio::time::timeout(BOOT, first_dyno(platform, app.id, release)).await {
        Ok(Ok(Start::Up)) => {
            client.line(&format!("       {url} deployed to Wharf")).await;
        }
        Ok(Ok(Start::Replaced)) => {
            client.line("       Deployed to Wharf, and already replaced by a newer release.").await;
        }
        Ok(Ok(Start::Nothing)) => {
            client.line(&format!("       {url} deployed to Wharf")).await;
            let formation = store::formation::formation_list(platform.db(), app.id).await?;
            for line in no_web(&formation, &app.name) {
                client.line(&line).await;
            }
        }
        Ok(Err(err)) => return Err(err),
        Ok(Ok(Start::Crashed(why))) => crashed(platform, app, &row, &why, client).await?,
        Err(_) => crashed(platform, app, &row, "did not come up within 60 seconds", client).await?,
    }
    client.line("").await;
    Ok(())
}

async fn crashed(
    platform: &Platform,
    app: &store::apps::Row,
    release: &store::releases::Row,
    why: &str,
    client: &ClientOutput,
) -> Result<()> {
    client.line("").await;
    client.line(&format!(" !     v{} was released, but its web dyno is not running: {why}", release.version)).await;
    let rows = store::dynos::dyno_list(platform.db(), app.id).await?;
    client
        .line(&match serving(&rows, release.version) {
            Some(version) => {
                format!(" !     v{version} keeps serving traffic. Last log lines of v{}:", release.version)
            }
            None => {
                " !     No other release is serving traffic, so visitors get an error page. Last log lines:".to_owned()
            }
        })
        .await;
    let (payer, web) = (payers::of_app(platform, app.id).await?, vec![("web".to_owned(), release.created_at)]);
    for line in log_lines::last_of(platform, payer, app.id, web, 10).await?.into_iter().flatten() {
        client.line(&format!(" !       {line}")).await;
    }
    client.line(&format!(" !     More: wharf logs --app {}", app.name)).await;
    Ok(())
}

/// The newest release before `version` whose web dynos serve.
fn serving(rows: &[store::dynos::Row], version: i32) -> Option<i32> {
    let old = rows.iter().filter(|r| r.kind == "web" && r.version < version);
    old.filter(|r| r.state == DynoState::Up && r.stopping_at.is_none()).map(|r| r.version).max()
}

/// Explains why no requests are served although everything succeeded, and what to do about it.
fn no_web(formation: &[store::formation::Row], app: &str) -> Vec<String> {
    if formation.iter().any(|f| f.kind == "web") {
        return vec![format!(" !     Web dynos are scaled to 0. Scale up with: wharf ps:scale web=1 --app {app}")];
    }
    let others = formation.iter().filter(|f| f.kind != "release").map(|f| match f.quantity {
        0 => format!("{0} (wharf ps:scale {0}=1 --app {app})", f.kind),
        _ => f.kind.clone(),
    });
    let others = others.collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        " !     There is no web process type, so the app does not serve requests.".to_owned(),
        " !     Add a line \"web: COMMAND\" to the Procfile and push.".to_owned(),
    ];
    if !others.is_empty() {
        lines.push(format!(" !     Process types: {others}"));
    }
    lines
}

enum Start {
    Up,
    /// No web dyno is desired.
    Nothing,
    /// A newer release has replaced it.
    Replaced,
    Crashed(String),
}

/// The state of the first web dyno of a release.
async fn first_dyno(platform: &Platform, app: AppId, release: ReleaseId) -> Result<Start> {
    let mut changes = platform.changes();
    loop {
        let formation = store::formation::formation_list(platform.db(), app).await?;
        if !formation.iter().any(|f| f.kind == "web" && f.quantity > 0) {
            return Ok(Start::Nothing);
        }
        let rows = store::dynos::dyno_list(platform.db(), app).await?;
        let of_release = || rows.iter().filter(|r| r.kind == "web" && r.release_id == release);
        if of_release().any(|r| r.state == DynoState::Up) {
            return Ok(Start::Up);
        }
        if let Some(row) = of_release().find(|r| r.state == DynoState::Crashed) {
            return Ok(Start::Crashed(row.last_exit.clone().unwrap_or_else(|| "it crashed".into())));
        }
        if store::releases::release_current(platform.db(), app).await?.is_none_or(|r| r.id != release) {
            return Ok(Start::Replaced);
        }
        let _ = tokio::time::timeout(AGAIN, bus::concerning(&mut changes, Some(app))).await;
    }
}

#[cfg(test)]
mod tests {
    use api::ids::FormationId;

    use super::*;

    fn formation(types: &[(&str, i32)]) -> Vec<store::formation::Row> {
        let row = |(kind, quantity): &(&str, i32)| store::formation::Row {
            id: FormationId::nil(),
            app_id: AppId::nil(),
            kind: (*kind).into(),
            command: "run".into(),
            quantity: *quantity,
            size: "Basic".into(),
            created_at: Utc::now(),
            updated_at: Utc::now(),
        };
        types.iter().map(row).collect()
    }

    #[test]
    fn an_app_without_web_gets_no_advice_to_scale_it() {
        let said = |types: &[(&str, i32)]| no_web(&formation(types), "dusk").join("\n");
        assert_eq!(
            said(&[("web", 0)]),
            " !     Web dynos are scaled to 0. Scale up with: wharf ps:scale web=1 --app dusk"
        );
        let both = said(&[("clock", 2), ("release", 0), ("worker", 0)]);
        assert!(both.contains("Add a line \"web: COMMAND\" to the Procfile") && !both.contains("web=1"), "{both}");
        assert!(both.ends_with("Process types: clock, worker (wharf ps:scale worker=1 --app dusk)"), "{both}");
        let none = said(&[]);
        assert!(none.contains("There is no web process type") && !none.contains("Process types:"), "{none}");
    }
}
