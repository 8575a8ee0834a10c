//! The repository of one app, and one that its commits come from.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use api::ids::AppId;
use async_trait::async_trait;
use repositories::{Apps, Contents, GitLimits, Pushed, Repositories, hook::Push};
use tempfile::TempDir;
use worker::Workers;

pub const MAIN: &str = "refs/heads/main";
pub const NONE: &str = "0000000000000000000000000000000000000000";

pub struct World {
    pub dir: TempDir,
    pub source: PathBuf,
    pub repositories: Repositories,
    pub app: AppId,
}

struct All;

#[async_trait]
impl Apps for All {
    async fn exists(&self, _: AppId) -> anyhow::Result<bool> {
        Ok(true)
    }
}

impl World {
    pub fn new() -> World {
        assert!(Command::new("id").arg("-u").output().unwrap().stdout == b"0\n", "these tests need root");
        let dir = tempfile::tempdir().unwrap();
        let (data, source) = (dir.path().join("data"), dir.path().join("source"));
        repositories::prepare(&data).unwrap();
        let workers = Workers::new().unwrap();
        let repositories = Repositories::new(&data, GitLimits::default(), workers, Box::new(All));
        fs::create_dir(&source).unwrap();
        let world = World { dir, source, repositories, app: AppId::from_u128(1) };
        world.git(&["init", "-q", "-b", "main"]);
        world
    }

    /// Runs git in the source.
    pub fn git(&self, args: &[&str]) -> String {
        git(&["-C", self.source.to_str().unwrap()], args)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.source.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Commits all files; returns the id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Stores the objects of the source in the app's repository, but none of its branches.
    pub async fn store(&self) {
        let repository = self.repositories.ensure(self.app).await.unwrap();
        let place = format!("--git-dir={}", repository.display());
        git(
            &[&place],
            &["fetch", "-q", self.source.to_str().unwrap(), "+refs/*:refs/stored/*", "+HEAD:refs/stored/head"],
        );
        let owner = format!("{0}:{0}", worker::GIT);
        assert!(Command::new("chown").args(["-R", &owner]).arg(&repository).status().unwrap().success());
    }

    pub async fn move_main(&self, old: &str, new: &str) -> anyhow::Result<()> {
        self.repositories.move_ref(self.app, MAIN, old, new).await
    }

    pub async fn tip(&self) -> Option<String> {
        self.repositories.tip(self.app, MAIN).await.unwrap()
    }

    pub async fn inspect(&self, old: &str, new: &str) -> Result<Pushed, &'static str> {
        let push = Push { name: MAIN.into(), old: old.into(), new: new.into(), wait: None };
        self.repositories.inspect(self.app, &push).await.unwrap().map_err(|(_, why)| why)
    }

    /// Checks a commit out; returns the folder with its files.
    pub async fn checkout(&self, commit: &str) -> (PathBuf, Contents) {
        let (archive, folder) = (self.dir.path().join("files.tar"), self.dir.path().join("files"));
        let file = File::create(&archive).unwrap();
        let contents = self.repositories.checkout(self.app, commit, &file).await.unwrap();
        fs::create_dir(&folder).unwrap();
        let done = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&folder).status().unwrap();
        assert!(done.success());
        (folder, contents)
    }
}

pub fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

fn git(place: &[&str], args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(place).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    let done = git.output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}
