//! git: a repository for each app, over smart HTTP, and what a push does.
//!
//! ```text
//! git push ──HTTP──→ receive-pack ──hook──→ `wharfd git-hook` ──socket──→ POST /internal/pushes
//!    ←──── remote: lines ────────────────────────────────────────────────  build, release, start
//! ```
//!
//! The hook is of kind `proc-receive`: it decides over `main` and `master` itself, and moves them
//! as the last step of the build, so that a push that was rejected has changed nothing.

mod files;
pub mod hook;
mod http;
mod push;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use tokio::process::Command;
use uuid::Uuid;

pub(crate) use self::files::deploy_files;
pub use self::{
    http::{info_refs, receive_pack, upload_pack},
    push::push,
};
use crate::Platform;

/// The repository of an app.
pub(crate) fn repository(platform: &Platform, app: Uuid) -> PathBuf {
    platform.config().data.join("git").join(format!("{app}.git"))
}

fn hooks(data: &Path) -> PathBuf {
    data.join("git").join("hooks")
}

/// Writes the hooks that all repositories share.
pub(crate) fn prepare(data: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = hooks(data);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for name in ["proc-receive", "post-receive"] {
        let file = folder.join(name);
        // The server says where it is, since an upgrade may have moved it.
        std::fs::write(&file, format!("#!/bin/sh\nexec \"$WHARF_EXE\" git-hook {name}\n"))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// A `git` that sees no configuration but ours.
fn git(data: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C.UTF-8")
        .arg("-c")
        .arg(format!("core.hooksPath={}", hooks(data).display()))
        .args(["-c", "receive.procReceiveRefs=refs/heads/main", "-c", "receive.procReceiveRefs=refs/heads/master"])
        .args(["-c", "receive.shallowUpdate=true", "-c", "receive.fsckObjects=true", "-c", "gc.auto=200"])
        .args(["-c", "safe.directory=*", "-c", "uploadpack.allowReachableSHA1InWant=true"])
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> anyhow::Result<String> {
    let done = command.output().await.context("run git: is the Debian package git installed?")?;
    if !done.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Makes the repository of an app on first use.
async fn ensure(platform: &Platform, app: Uuid) -> anyhow::Result<PathBuf> {
    let folder = repository(platform, app);
    if tokio::fs::try_exists(folder.join("HEAD")).await? {
        return Ok(folder);
    }
    let mut init = git(&platform.config().data);
    init.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&folder);
    run(init).await.context("make the app's repository")?;
    Ok(folder)
}

/// Writes the files of a commit to a tar archive, as they are.
pub(crate) async fn archive(platform: &Platform, app: Uuid, commit: &str, file: &Path) -> anyhow::Result<()> {
    if !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("{commit} is not a commit");
    }
    let mut archive = git(&platform.config().data);
    archive.arg("--git-dir").arg(repository(platform, app));
    archive.args(["archive", "--format=tar", "-o"]).arg(file).arg(commit);
    run(archive).await.map(drop).context("take the files out of the commit")
}

/// Moves a branch from `old` to `new`; all zeros stand for nothing. One that is at `new` already
/// stays, so that a job can do it twice.
pub(crate) async fn move_ref(platform: &Platform, app: Uuid, name: &str, old: &str, new: &str) -> anyhow::Result<()> {
    let folder = repository(platform, app);
    if tip(platform, app, name).await?.as_deref() == Some(new) {
        return Ok(());
    }
    let mut update = git(&platform.config().data);
    update.arg("--git-dir").arg(&folder).args(["update-ref", name, new, old]);
    run(update).await.with_context(|| format!("move {name}"))?;
    // A clone gets the branch that was deployed last.
    let mut head = git(&platform.config().data);
    head.arg("--git-dir").arg(&folder).args(["symbolic-ref", "HEAD", name]);
    run(head).await.context("point HEAD at the branch")?;
    let size = size(&folder).await;
    store::apps::app_repo_size(platform.db(), app, size).await?;
    Ok(())
}

/// What a client is told whose push comes after another one that it did not know of.
pub(crate) const STALE: &str = " !     Somebody pushed to this branch at the same time. Fetch and push again.";

/// Whether a branch is at the commit `id`; all zeros stand for a branch that is not there.
pub(crate) async fn is_at(platform: &Platform, app: Uuid, name: &str, id: &str) -> anyhow::Result<bool> {
    let wanted = Some(id).filter(|id| id.bytes().any(|b| b != b'0'));
    Ok(tip(platform, app, name).await?.as_deref() == wanted)
}

/// Where a branch is.
async fn tip(platform: &Platform, app: Uuid, name: &str) -> anyhow::Result<Option<String>> {
    let mut show = git(&platform.config().data);
    show.arg("--git-dir").arg(repository(platform, app)).args(["for-each-ref", "--format=%(objectname)", name]);
    Ok(run(show).await.context("look at the branch")?.lines().next().map(String::from).filter(|s| !s.is_empty()))
}

/// The first line of a commit's message.
async fn subject(platform: &Platform, app: Uuid, commit: &str) -> anyhow::Result<String> {
    if !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(anyhow!("{commit} is not a commit"));
    }
    let mut show = git(&platform.config().data);
    show.arg("--git-dir").arg(repository(platform, app)).args(["show", "-s", "--format=%s", commit]);
    run(show).await
}

/// The commits that are in `to` and not in `from`, newest first, at most `most`.
pub(crate) async fn commits(
    platform: &Platform,
    app: Uuid,
    from: Option<&str>,
    to: &str,
    most: usize,
) -> anyhow::Result<Vec<api::releases::Commit>> {
    if let Some(bad) = from.iter().chain([&to]).find(|c| c.is_empty() || !c.bytes().all(|b| b.is_ascii_hexdigit())) {
        bail!("{bad} is not a commit");
    }
    let range = from.map_or_else(|| to.to_owned(), |from| format!("{from}..{to}"));
    let mut log = git(&platform.config().data);
    log.arg("--git-dir").arg(repository(platform, app));
    log.args(["log", "--format=%H%x1f%an%x1f%at%x1f%s", "-n", &most.to_string(), &range, "--"]);
    let listed = run(log).await.context("list commits")?;
    Ok(listed.lines().filter_map(commit).collect())
}

fn commit(line: &str) -> Option<api::releases::Commit> {
    let mut fields = line.splitn(4, '\u{1f}').map(str::to_owned);
    let (id, author, at) = (fields.next()?, fields.next()?, fields.next()?);
    let at = chrono::DateTime::from_timestamp(at.parse().ok()?, 0)?;
    Some(api::releases::Commit { id, subject: fields.next()?, author, at })
}

/// Bytes below a folder.
async fn size(folder: &Path) -> i64 {
    let folder = folder.to_owned();
    let walk = move || {
        let mut total = 0;
        let mut open = vec![folder];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => open.push(entry.path()),
                    Ok(meta) => total += meta.len(),
                    Err(_) => {}
                }
            }
        }
        i64::try_from(total).unwrap_or(i64::MAX)
    };
    tokio::task::spawn_blocking(walk).await.unwrap_or(0)
}
