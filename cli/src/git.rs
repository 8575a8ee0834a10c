//! git: the remotes of apps, and setting up their credential helper.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{address::Address, output};

/// The remote that `create` and `git:remote` add.
pub const REMOTE: &str = "wharf";

/// The URL to push an app to.
pub fn url_of(address: &Address, app: &str) -> String {
    format!("{address}/{app}.git")
}

/// The app of a remote's URL, if it belongs to `address`.
fn app_in(address: &Address, url: &str) -> Option<String> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return None;
    }
    let (at, path) = Address::split(url).ok()?;
    let name = path.trim_start_matches('/').trim_end_matches('/').strip_suffix(".git")?;
    (at.is_same_platform(address) && !name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

/// Runs git and returns its output; `None` if it failed, as outside a repository.
pub fn ask(args: &[&str]) -> Result<Option<String>> {
    let output = Command::new("git").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.context("git cannot be started. Install it: apt-get install git")?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Runs git and fails with its error output.
fn run(args: &[&str]) -> Result<()> {
    let output = Command::new("git").args(args).stdin(Stdio::null()).output();
    let output = output.context("git cannot be started. Install it: apt-get install git")?;
    if !output.status.success() {
        bail!("git {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The remotes of this repository that point to apps of the platform: remote -> app.
fn app_remotes(address: &Address) -> Result<BTreeMap<String, String>> {
    let listed = ask(&["config", "--get-regexp", r"^remote\..*\.url$"])?.unwrap_or_default();
    Ok(parse_remotes(address, &listed))
}

fn parse_remotes(address: &Address, listed: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, url) = line.split_once(' ')?;
        let name = key.strip_prefix("remote.")?.strip_suffix(".url")?;
        Some((name.to_owned(), app_in(address, url.trim())?))
    };
    listed.lines().filter_map(pair).collect()
}

/// The app of the given remote.
pub fn app_of_remote(address: &Address, remote: &str) -> Result<String> {
    match app_remotes(address)?.remove(remote) {
        Some(app) => Ok(app),
        None => bail!("This folder has no git remote {remote} for {address}. See: git remote --verbose"),
    }
}

/// The app of this folder's remotes, if they agree. `git config wharf.remote` chooses
/// between several.
pub fn infer_app(address: &Address) -> Result<Option<String>> {
    let remotes = app_remotes(address)?;
    let mut apps: Vec<&String> = remotes.values().collect();
    apps.sort();
    apps.dedup();
    if let [app] = apps[..] {
        return Ok(Some(app.clone()));
    }
    if apps.is_empty() {
        return Ok(None);
    }
    let chosen = ask(&["config", "wharf.remote"])?.unwrap_or_default();
    if let Some(app) = remotes.get(chosen.trim()) {
        return Ok(Some(app.clone()));
    }
    let mut lines = String::new();
    for (remote, app) in &remotes {
        lines.push_str(&format!("\n    {app} ({remote})"));
    }
    bail!("This folder has git remotes for several apps. Choose one with --app or --remote:{lines}")
}

/// Whether this folder is in a git repository.
pub fn is_repository() -> bool {
    matches!(ask(&["rev-parse", "--git-dir"]), Ok(Some(_)))
}

fn has_remote(name: &str) -> Result<bool> {
    Ok(ask(&["config", "--get", &format!("remote.{name}.url")])?.is_some())
}

/// Adds a remote `name` for the app. An existing one may point to another app: it is not
/// changed, and the result is `false`.
pub fn add_remote(address: &Address, name: &str, app: &str) -> Result<bool> {
    if has_remote(name)? {
        return Ok(false);
    }
    run(&["remote", "add", name, &url_of(address, app)])?;
    Ok(true)
}

/// Points the remote `name` at the app, whether it exists or not.
pub fn set_remote(address: &Address, name: &str, app: &str) -> Result<()> {
    let verb = if has_remote(name)? { "set-url" } else { "add" };
    run(&["remote", verb, name, &url_of(address, app)])
}

/// Repoints or removes (`to` is `None`) the remotes that name `app`. Returns their names.
pub fn move_remotes(address: &Address, app: &str, to: Option<&str>) -> Result<Vec<String>> {
    let mut moved = Vec::new();
    for (remote, _) in app_remotes(address)?.into_iter().filter(|(_, named)| named == app) {
        match to {
            Some(to) => run(&["remote", "set-url", &remote, &url_of(address, to)])?,
            None => run(&["remote", "remove", &remote])?,
        }
        moved.push(remote);
    }
    Ok(moved)
}

/// How git starts the helper: by name if the shell resolves it to this executable, otherwise by path.
fn helper() -> Result<String> {
    let exe = std::env::current_exe().context("find the path of wharf")?;
    let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join("wharf"))
        .find(|file| file.is_file())
        .and_then(|file| file.canonicalize().ok());
    let is_found = on_path.is_some() && on_path == exe.canonicalize().ok();
    let program = if is_found { PathBuf::from("wharf") } else { exe };
    Ok(format!("!{} git:credentials", output::shell_quote(&program.to_string_lossy())))
}

/// Makes us git's only credential helper for this platform: the empty helper before ours
/// keeps the token from helpers that would store it in plain text.
pub fn set_up_helper(address: &Address) -> Result<()> {
    let key = format!("credential.{address}.helper");
    let wanted = helper()?;
    let found = ask(&["config", "--global", "--get-all", &key])?.unwrap_or_default();
    if found.lines().eq(["", wanted.as_str()]) {
        return Ok(());
    }
    run(&["config", "--global", "--replace-all", &key, ""])?;
    run(&["config", "--global", "--add", &key, &wanted])
}

/// Undoes [`set_up_helper`].
pub fn remove_helper(address: &Address) -> Result<()> {
    let key = format!("credential.{address}.helper");
    if ask(&["config", "--global", "--get-all", &key])?.is_some() {
        run(&["config", "--global", "--unset-all", &key])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: &str) -> Address {
        Address::parse(s).unwrap()
    }

    #[test]
    fn remotes_of_other_platforms_are_ignored() {
        let listed = "remote.origin.url https://github.com/me/dusk.git\n\
                      remote.wharf.url http://localhost:5000/dusk.git\n\
                      remote.staging.url http://wharf:token@127.0.0.1:5000/dusk-staging.git\n\
                      remote.other.url http://localhost:5001/dusk.git\n\
                      remote.a.b.url http://localhost:5000/deep/dusk.git\n\
                      remote.ssh.url git@localhost:dusk.git\n";
        let found = parse_remotes(&at("http://localhost:5000"), listed);
        let found: Vec<(&str, &str)> = found.iter().map(|(r, a)| (r.as_str(), a.as_str())).collect();
        assert_eq!(found, [("staging", "dusk-staging"), ("wharf", "dusk")]);
        assert_eq!(url_of(&at("https://wharf.example.com"), "dusk"), "https://wharf.example.com/dusk.git");
    }
}
