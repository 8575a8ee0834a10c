//! Sweeping: removes the temporary files of a killed git from a repository.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use worker::{Task, TaskFiles};

use crate::plumbing::REPOSITORY;

/// git holds a lock only briefly. An older one is left over from a killed git.
const LOCK: Duration = Duration::from_secs(60);

/// Removes the leftovers of a killed git.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sweep {
    /// Whether the repository is not in use.
    pub alone: bool,
}

impl Task for Sweep {
    const NAME: &'static str = "git_sweep";
    type Answer = Result<(), String>;

    fn run(self, _: TaskFiles) -> Self::Answer {
        self.sweep(Path::new(REPOSITORY)).map_err(|e| e.to_string())
    }
}

/// Whether this is the name of a folder in which git has the objects of an unfinished push.
pub(crate) fn is_incoming(name: &str) -> bool {
    name.starts_with("incoming-") || name.starts_with("tmp_")
}

impl Sweep {
    fn sweep(&self, repository: &Path) -> std::io::Result<()> {
        let objects = repository.join("objects");
        for folder in [repository.to_owned(), objects.join("info"), objects.join("pack")] {
            self.sweep_locks(&folder)?;
            self.sweep_unfinished(&folder)?;
        }
        let mut refs = vec![repository.join("refs")];
        while let Some(folder) = refs.pop() {
            self.sweep_locks(&folder)?;
            refs.extend(entries(&folder)?.into_iter().filter(|path| path.is_dir() && !path.is_symlink()));
        }
        if !self.alone {
            return Ok(());
        }
        for path in entries(&objects)? {
            let name = name(&path);
            match is_incoming(&name) {
                true => trees::remove(&path)?,
                false if name.len() == 2 => self.sweep_unfinished(&path)?,
                false => {}
            }
        }
        Ok(())
    }

    /// Removes locks; no ref can have such a name.
    fn sweep_locks(&self, folder: &Path) -> std::io::Result<()> {
        let locks = entries(folder)?.into_iter().filter(|path| name(path).ends_with(".lock") && !path.is_dir());
        locks.filter(|path| self.alone || is_old(path)).try_for_each(fs::remove_file)
    }

    /// Removes unfinished files.
    fn sweep_unfinished(&self, folder: &Path) -> std::io::Result<()> {
        let begins = ["tmp_", ".tmp-", "shallow_", "gc.pid", "packed-refs.new"];
        let is_left = |name: &str| begins.iter().any(|begin| name.starts_with(begin)) || name.ends_with(".keep");
        let left = entries(folder)?.into_iter().filter(|path| is_left(&name(path)) && !path.is_dir());
        left.filter(|_| self.alone).try_for_each(fs::remove_file)
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of a folder, which need not exist.
pub(crate) fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(err) => Err(err),
    }
}

fn is_old(path: &Path) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|meta| meta.modified());
    changed.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with these files, swept; what is left.
    fn swept(alone: bool, files: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Sweep { alone }.sweep(dir.path()).unwrap();
        files.iter().filter(|file| dir.path().join(file).exists()).map(|file| (*file).to_owned()).collect()
    }

    #[test]
    fn leftovers_of_killed_processes_are_removed() {
        let kept = [
            "HEAD",
            "refs/heads/main",
            "refs/heads/tmp_name",
            "refs/tags/v1.keep",
            "objects/ab/cdef",
            "objects/pack/pack-1.pack",
            "objects/pack/pack-1.idx",
            "shallow",
        ];
        let left = [
            "HEAD.lock",
            "packed-refs.lock",
            "packed-refs.new",
            "refs/heads/main.lock",
            "refs/heads/a/b/c.lock",
            "objects/tmp_objdir-incoming-x/pack/tmp_pack_1",
            "objects/incoming-y/ab/c",
            "objects/ab/tmp_obj_1",
            "objects/pack/tmp_idx_1",
            "objects/pack/.tmp-1-pack-x.pack",
            "objects/pack/pack-1.keep",
            "shallow_Xa12b3",
            "gc.pid",
        ];
        assert_eq!(swept(true, &[&kept[..], &left[..]].concat()), kept);
    }

    #[test]
    fn files_of_a_push_in_progress_are_kept() {
        let needed = ["refs/heads/main.lock", "objects/tmp_objdir-incoming-x/pack/tmp_pack_1", "objects/pack/x.keep"];
        assert_eq!(swept(false, &needed), needed);
    }
}
