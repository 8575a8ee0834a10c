//! A repository, the app that it is pushed to, and a buildpack that runs the commit's script.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::World;

/// A buildpack that runs the file `build` of the source.
const COMPILE: &str = "#!/bin/sh\ncd $1 && sh -e ./build\n";
const RELEASE: &str = "#!/bin/sh\nprintf -- '---\\ndefault_process_types:\\n  web: python3 -m http.server $PORT\\n'\n";

/// A repository and an app that it is pushed to.
pub struct Repo<'a> {
    pub world: &'a World,
    pub folder: PathBuf,
    pub app: String,
}

impl<'a> Repo<'a> {
    pub fn new(world: &'a World, app: &str) -> Self {
        let buildpack = world.dir.path().join("buildpack");
        if !buildpack.exists() {
            fs::create_dir_all(buildpack.join("bin")).unwrap();
            let files = [("detect", "#!/bin/sh\necho Test\n"), ("compile", COMPILE), ("release", RELEASE)];
            for (name, text) in files {
                let file = buildpack.join("bin").join(name);
                fs::write(&file, text).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            }
            git(&buildpack, &["init", "-q", "-b", "main"]);
            commit(&buildpack, "buildpack");
        }
        world.api("POST", "/apps", json!({ "name": app }));
        let url = format!("file://{}", buildpack.display());
        world.api("PUT", &format!("/apps/{app}/buildpack-installations"), json!({ "updates": [{ "buildpack": url }] }));
        // Tests of the watch period set a longer one.
        world.api("PATCH", &format!("/apps/{app}"), json!({ "watch_seconds": 1 }));
        let folder = world.dir.path().join(app);
        fs::create_dir_all(&folder).unwrap();
        git(&folder, &["init", "-q", "-b", "main"]);
        Repo { world, folder, app: app.to_owned() }
    }

    /// Commits a tree whose build runs `build`; returns the commit's id.
    pub fn commit(&self, build: &str) -> String {
        fs::write(self.folder.join("build"), build).unwrap();
        commit(&self.folder, build);
        git(&self.folder, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub fn url(&self) -> String {
        format!("http://x:{}@localhost:{}/{}.git", self.world.token(), self.world.port, self.app)
    }

    pub fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(folder).args(args).env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
        command
    }

    /// Pushes; returns whether it succeeded, and git's output.
    pub fn push_from(&self, folder: &Path, args: &[&str]) -> (bool, String) {
        let url = self.url();
        let done = self.command(folder, &[&["push", &url], args].concat()).output().unwrap();
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    }

    pub fn push(&self, args: &[&str]) -> (bool, String) {
        self.push_from(&self.folder, args)
    }

    /// The commit of the branch on the server; empty if it does not exist.
    pub fn tip(&self, branch: &str) -> String {
        let said = git(&self.folder, &["ls-remote", &self.url(), &format!("refs/heads/{branch}")]);
        said.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// Commits a Procfile, and pushes it with these options.
    pub fn push_procfile(&self, procfile: &str, options: &[&str]) -> (bool, String) {
        fs::write(self.folder.join("Procfile"), procfile).unwrap();
        self.commit("true");
        self.push(&[options, &["main"]].concat())
    }

    /// The dynos that run, such as `web.1 v2`, in order.
    pub fn running(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.list("dynos").iter().filter(|dyno| dyno["state"] == "up").map(dyno_of).collect();
        all.sort();
        all
    }

    pub fn list(&self, of: &str) -> Vec<Value> {
        match self.world.api("GET", &format!("/apps/{}/{of}", self.app), Value::Null) {
            Value::Array(all) => all,
            other => panic!("{other}"),
        }
    }

    /// The releases, in order.
    pub fn releases(&self) -> Vec<String> {
        let all = self.list("releases");
        all.iter().map(|r| r["description"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn last_build(&self) -> Option<String> {
        Some(self.list("builds").last()?["status"].as_str()?.to_owned())
    }
}

fn dyno_of(dyno: &Value) -> String {
    format!("{} v{}", dyno["name"].as_str().unwrap(), dyno["release"]["version"])
}

pub fn git(folder: &Path, args: &[&str]) -> String {
    let done = Command::new("git").arg("-C").arg(folder).args(args).output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

pub fn commit(folder: &Path, message: &str) {
    git(folder, &["add", "-A"]);
    let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    git(folder, &[&who[..], &["commit", "-q", "--allow-empty", "-m", message]].concat());
}
