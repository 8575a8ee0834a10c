//! Leftovers: temporary files of a killed server.
//!
//! Uploads, downloads and unfinished archives are written by one process, under unique names. When the next server
//! starts, before it accepts requests and jobs, they no longer have a writer. The disks of builds and dynos, next to
//! them, outlive the server and are not touched.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use platform::slug_files;

/// Whether this is the name of an incomplete file.
type Ours = fn(&str) -> bool;

/// Removes what a killed server has left below `data`, and returns the paths. Must be called before anything else uses
/// these folders.
pub(crate) fn sweep(data: &Path) -> io::Result<Vec<PathBuf>> {
    let folders: [(&str, Ours); 2] = [("tmp", is_on_the_way), ("sources", is_half_an_upload)];
    let mut removed = slug_files::remove_parts(&data.join("slugs"), Duration::ZERO)?;
    for (folder, is_left) in folders {
        for entry in fs::read_dir(data.join(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_left) {
                fs::remove_file(entry.path())?;
                removed.push(entry.path());
            }
        }
    }
    Ok(removed)
}

/// Slugs that are uploaded, created or fetched for unpacking, and sources that are fetched.
fn is_on_the_way(name: &str) -> bool {
    let is_source = || name.ends_with(".download") || name.ends_with(".tar");
    name.starts_with("slug-") || name.starts_with("unpack-") || (name.starts_with("source-") && is_source())
}

/// The file of a complete source is named with its id; while it is incomplete, a dot and another id follow.
fn is_half_an_upload(name: &str) -> bool {
    name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_its_way_goes_and_the_rest_stays() {
        let data = tempfile::tempdir().unwrap();
        let [tmp, sources, slugs] = ["tmp", "sources", "slugs/ab"].map(|name| data.path().join(name));
        let gone = [
            tmp.join("slug-01-02"),
            tmp.join("slug-01.tar.zst"),
            tmp.join("unpack-01"),
            tmp.join("source-01.download"),
            tmp.join("source-01.tar"),
            sources.join("01.02"),
            slugs.join("ab01.slug#1"),
        ];
        let kept = [tmp.join(".disk-1-1"), tmp.join("build-01.img"), sources.join("01"), slugs.join("ab01.slug")];
        let folders = [slugs, tmp.join("former-1-01"), tmp.join("unpack-02"), sources.join("a.b")];
        folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        gone.iter().chain(&kept).for_each(|file| fs::write(file, "x").unwrap());

        let mut removed = sweep(data.path()).unwrap();
        removed.sort();
        let mut wanted = gone.to_vec();
        wanted.sort();
        assert_eq!(removed, wanted);
        assert!(gone.iter().all(|path| !path.exists()));
        assert!(kept.iter().chain(&folders).all(|path| path.exists()));
        assert!(sweep(data.path()).unwrap().is_empty());
    }
}
