//! The same files produce the same slug, and unpacking restores them.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::entries::Whole;
use super::*;
use crate::runtimes::Runtime;

fn tree(dir: &Path, order: &[&str]) {
    fs::create_dir_all(dir.join("a/empty")).unwrap();
    for name in order {
        let path = dir.join(name);
        fs::write(&path, name.repeat(1000)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let times = FileTimes::new().set_modified(time);
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    }
    fs::set_permissions(dir.join("run"), Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/passwd", dir.join("link")).unwrap();
    for dir in ["", "a", "a/empty"].map(|d| dir.join(d)) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        File::open(dir).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
    }
    // Links have their own times.
    let status = std::process::Command::new("touch").args(["-h", "-d", "@1700000000"]).arg(dir.join("link")).status();
    assert!(status.unwrap().success());
}

fn packed(order: &[&str], limit: u64) -> (TempDir, Result<Packed, Error>) {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("tree");
    fs::create_dir(&from).unwrap();
    tree(&from, order);
    let result = pack(&from, &Outputs::archive(&dir.path().join("slug")), limit, &CancellationToken::new());
    (dir, result)
}

#[test]
fn the_same_files_make_the_same_slug() {
    let (_one, first) = packed(&["run", "a/b", "z"], 1 << 20);
    let (_two, second) = packed(&["z", "a/b", "run"], 1 << 20);
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.checksum, second.checksum);
    assert!(first.checksum.starts_with("SHA256:") && first.checksum.len() == 71);
}

#[test]
fn a_slug_that_is_too_large_is_refused() {
    let (_dir, result) = packed(&["run", "a/b"], 50);
    let Err(Error::Failed { why }) = result else { panic!("it was not refused") };
    assert_eq!(why, "the slug is larger than 0 MB compressed");
}

/// Why the tree created by `make` cannot be packed.
fn unfit(make: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("tree");
    fs::create_dir(&from).unwrap();
    make(&from);
    let result = pack(&from, &Outputs::archive(&dir.path().join("slug")), 1 << 30, &CancellationToken::new());
    trees::remove(&from).unwrap();
    match result {
        Err(Error::Failed { why }) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was packed"),
    }
}

#[test]
fn a_tree_too_large_for_a_slug_is_reported() {
    let holes = |path: &Path| File::create(path.join("holes")).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(unfit(holes), "the app's files are larger than 8192 MB");
    let small_holes = |path: &Path| File::create(path.join("holes")).unwrap().set_len((1 << 30) + 1).unwrap();
    assert_eq!(unfit(small_holes), "the app's files are larger than 1024 MB");
    let deep = |path: &Path| {
        // Deeper than a path can express.
        let mut here = path.to_owned();
        for _ in 0..100 {
            here.push("d".repeat(10));
        }
        for _ in 0..5 {
            fs::create_dir_all(&here).unwrap();
            let aside = path.with_file_name("aside");
            fs::rename(path.join("d".repeat(10)), &aside).unwrap();
            fs::create_dir_all(&here).unwrap();
            fs::rename(aside, here.join("d")).unwrap();
        }
    };
    assert_eq!(unfit(deep), "there are more than 200 nested directories");
}

/// The result of packing within `most`, and of unpacking, within the same limits, a slug that was packed without
/// limits.
fn both(most: &Most, make: impl FnOnce(&Path)) -> [Result<(), String>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let (from, slug) = (dir.path().join("tree"), dir.path().join("slug"));
    fs::create_dir(&from).unwrap();
    make(&from);
    let message = |e: Error| match e {
        Error::Failed { why } => why,
        other => panic!("{other}"),
    };
    let within =
        pack_within(&from, &Outputs::archive(&slug), most, &CancellationToken::new()).map(drop).map_err(message);
    let bounds = Bounds { depth: 1000, path: 10_000, entries: 1_000_000 };
    let any = Most { packed: 1 << 30, unpacked: 1 << 30, bounds };
    pack_within(&from, &Outputs::archive(&slug), &any, &CancellationToken::new()).map_err(message).unwrap();
    [within, crate::unpack::is_within(&slug, most.unpacked, most.bounds)]
}

#[test]
fn packing_and_unpacking_have_the_same_limits() {
    let most = || Most { packed: 1 << 30, unpacked: 1000, bounds: Bounds { depth: 4, path: 40, entries: 6 } };
    let write = |path: &Path, name: &str, size: usize| fs::write(path.join(name), "x".repeat(size)).unwrap();
    let deep = |levels: usize| move |path: &Path| fs::create_dir_all(path.join(vec!["d"; levels].join("/"))).unwrap();
    let deep_file = |levels: usize| {
        move |path: &Path| {
            let folder = path.join(vec!["d"; levels].join("/"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("f"), "x").unwrap();
        }
    };
    type Make<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: [(&str, Make<'_>, Make<'_>); 5] = [
        ("directories", Box::new(deep(4)), Box::new(deep(5))),
        ("a file in directories", Box::new(deep_file(4)), Box::new(deep_file(5))),
        (
            "a path",
            Box::new(move |path| write(path, &"n".repeat(40), 1)),
            Box::new(move |path| write(path, &"n".repeat(41), 1)),
        ),
        (
            "entries",
            Box::new(move |path| (0..6).for_each(|n| write(path, &n.to_string(), 1))),
            Box::new(move |path| (0..7).for_each(|n| write(path, &n.to_string(), 1))),
        ),
        (
            "bytes",
            Box::new(move |path| [("a", 400), ("b", 600)].iter().for_each(|(name, size)| write(path, name, *size))),
            Box::new(move |path| [("a", 400), ("b", 601)].iter().for_each(|(name, size)| write(path, name, *size))),
        ),
    ];
    for (what, at, above) in cases {
        assert_eq!(both(&most(), at), [Ok(()), Ok(())], "{what} at the bound");
        let [packed, unpacked] = both(&most(), above);
        assert!(packed.is_err() && unpacked.is_err(), "{what} above the bound: {packed:?} {unpacked:?}");
    }
}

#[tokio::test]
async fn an_app_that_is_as_deep_and_long_as_may_be_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    let (from, slug, into) = (dir.path().join("tree"), dir.path().join("slug"), dir.path().join("app/slug"));
    let deep = from.join(vec!["d"; 200].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep").unwrap();
    // Fifteen names of 249 bytes and their slashes, and one that fills the path up to 4,000.
    let long = vec!["n".repeat(249); 15].join("/") + "/";
    fs::create_dir_all(from.join(&long)).unwrap();
    let file = format!("{long}{}", "f".repeat(4000 - long.len()));
    fs::write(from.join(&file), "long").unwrap();
    pack(&from, &Outputs::archive(&slug), 1 << 30, &CancellationToken::new()).unwrap();
    let workers = worker::Workers::new().unwrap();
    crate::check(&workers, &slug).await.unwrap();
    crate::unpack(&workers, &slug, &into, 0x7801_2345).await.unwrap();
    assert_eq!(fs::read_to_string(into.join(deep.strip_prefix(&from).unwrap()).join("file")).unwrap(), "deep");
    assert_eq!(fs::read_to_string(into.join(file)).unwrap(), "long");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "short").unwrap();
    let mut whole = Whole { file: File::open(&path).unwrap().take(10), path: Path::new("file") };
    let read = io::copy(&mut whole, &mut io::sink()).unwrap_err();
    assert_eq!(Unfit::of(&read).unwrap().to_string(), "`file` changed while it was read");
}

#[test]
fn cancelling_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let result = pack(&dir.path().join("tree"), &Outputs::archive(&dir.path().join("slug")), 1 << 20, &cancel);
    assert!(matches!(result, Err(Error::Cancelled)));
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let (dir, result) = packed(&["run", "a/b"], 1 << 20);
    let slug = result.unwrap();
    let file = dir.path().join("slug");
    assert_eq!(slug.size, fs::metadata(&file).unwrap().len());
    let into = dir.path().join("app/slug");
    let uid = 0x7801_2345;
    let workers = worker::Workers::new().unwrap();
    crate::unpack(&workers, &file, &into, uid).await.unwrap();

    assert_eq!(fs::read_to_string(into.join("a/b")).unwrap(), "a/b".repeat(1000));
    assert!(into.join("a/empty").is_dir());
    assert_eq!(fs::read_link(into.join("link")).unwrap(), Path::new("/etc/passwd"));
    let run = fs::metadata(into.join("run")).unwrap();
    assert_eq!(run.mode() & 0o7777, 0o755, "setuid is dropped");
    assert_eq!(run.mtime(), 1_700_000_000);
    for path in ["", "a", "a/b", "a/empty", "link"] {
        let meta = into.join(path).symlink_metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (uid, uid), "{path}");
    }
    // Again, although it already exists.
    crate::unpack(&workers, &file, &into, uid).await.unwrap();
    assert_eq!(fs::read_dir(dir.path().join("app")).unwrap().count(), 1);
}

/// What matters about the entries of a tree: kind and mode, owner, time and content of files, targets of links.
fn entries_of(top: &Path) -> BTreeMap<String, (u32, u32, i64, Vec<u8>)> {
    let mut walk = Walk::new(&Dir::open(top).unwrap(), Bounds::APP).unwrap();
    let mut entries = BTreeMap::new();
    while let Some(found) = walk.next().unwrap() {
        let path = top.join(&found.path);
        let content = match () {
            () if found.is_file() => fs::read(&path).unwrap(),
            () if found.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            () => Vec::new(),
        };
        let time = if found.is_file() { found.stat.st_mtime } else { 0 };
        let entry = (found.stat.st_mode, found.stat.st_uid, time, content);
        entries.insert(found.path.to_string_lossy().into_owned(), entry);
    }
    entries
}

const USER: u32 = 0x7801_2345;

/// Packs `dir/tree` to an archive and a tree, and unpacks the archive: the paths of both trees, and of the archive.
async fn unpacked_both_ways(dir: &Path, runtimes: Option<&Installed>) -> [std::path::PathBuf; 3] {
    let [from, slug, direct, again] = ["tree", "slug", "direct", "app/again"].map(|name| dir.join(name));
    crate::files::make_private(&direct, USER).unwrap();
    let outputs = Outputs { archive: &slug, tree: Some((&direct, USER)), runtimes };
    pack(&from, &outputs, 1 << 30, &CancellationToken::new()).unwrap();
    crate::unpack(&worker::Workers::new().unwrap(), &slug, &again, USER).await.unwrap();
    [direct, again, slug]
}

#[tokio::test]
async fn the_tree_is_what_unpacking_makes_of_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("tree");
    fs::create_dir(&from).unwrap();
    tree(&from, &["run", "a/b"]);
    fs::set_permissions(from.join("a/empty"), Permissions::from_mode(0o1577)).unwrap();
    nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    File::create(from.join("holes")).unwrap().set_len(100 << 20).unwrap();
    fs::write(from.join("nothing"), "").unwrap();
    fs::hard_link(from.join("run"), from.join("second")).unwrap();
    symlink("../../out", from.join("a/out")).unwrap();

    let [direct, again, _] = unpacked_both_ways(dir.path(), None).await;

    assert_eq!(entries_of(&direct), entries_of(&again));
    let same = |path: &Path| fs::metadata(path).map(|found| (found.mode(), found.uid(), found.gid())).unwrap();
    assert_eq!(same(&direct), same(&again));
    assert!(!direct.join("pipe").exists());
    let holes = fs::metadata(direct.join("holes")).unwrap();
    assert!(holes.len() == 100 << 20 && holes.blocks() * 512 < 1 << 20, "{} blocks", holes.blocks());
    assert_eq!(fs::metadata(direct.join("run")).unwrap().nlink(), 1, "no two files of an app share their content");
}

fn runtimes(dir: &Path) -> Installed {
    let installed = Installed::open(&dir.join("runtimes")).unwrap();
    let package = dir.join("package");
    fs::create_dir_all(package.join("bin")).unwrap();
    fs::create_dir_all(package.join("lib/deep")).unwrap();
    for name in ["bin/node", "bin/npm-cli.js", "lib/deep/index.js", "package.json"] {
        fs::write(package.join(name), name.repeat(1000)).unwrap();
    }
    symlink("deep/index.js", package.join("lib/link")).unwrap();
    for runtime in [Runtime::Node, Runtime::Npm] {
        installed.install(runtime, "1.2.3", &package).unwrap();
    }
    installed
}

/// An app with links to runtimes where the buildpack puts them, and elsewhere.
fn app_with_runtimes(tree: &Path) {
    fs::create_dir_all(tree.join(".heroku/node/bin")).unwrap();
    fs::create_dir_all(tree.join(".heroku/node/lib/node_modules")).unwrap();
    fs::create_dir_all(tree.join("vendor")).unwrap();
    fs::write(tree.join("server.js"), "serve()").unwrap();
    for (link, target) in [
        (".heroku/node/bin/node", "/tmp/runtimes/files/node-1.2.3/bin/node"),
        (".heroku/node/lib/node_modules/npm", "/tmp/runtimes/files/npm-1.2.3"),
        (".heroku/node/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js"),
        ("vendor/lib", "/tmp/runtimes/files/npm-1.2.3/lib"),
        ("vendor/none", "/tmp/runtimes/files/npm-1.2.4"),
        ("vendor/out", "/tmp/runtimes/files/npm-1.2.3/../../../../../victim"),
    ] {
        symlink(target, tree.join(link)).unwrap();
    }
}

#[tokio::test]
async fn links_to_runtimes_become_their_targets() {
    let dir = tempfile::tempdir().unwrap();
    let installed = runtimes(dir.path());
    fs::create_dir(dir.path().join("tree")).unwrap();
    app_with_runtimes(&dir.path().join("tree"));

    let [direct, again, slug] = unpacked_both_ways(dir.path(), Some(&installed)).await;

    // The files of runtimes belong to nobody's app, and cannot be changed by it.
    let without_owners = |top: &Path| {
        let entries = entries_of(top).into_iter();
        entries.map(|(path, (mode, _, time, content))| (path, (mode, time, content))).collect::<Vec<_>>()
    };
    assert_eq!(without_owners(&direct), without_owners(&again));
    let node = ".heroku/node/bin/node";
    assert_eq!(fs::read_to_string(again.join(node)).unwrap(), "bin/node".repeat(1000));
    let original = installed.folder(Runtime::Node, "1.2.3").join("bin/node");
    assert_eq!(fs::metadata(direct.join(node)).unwrap().ino(), fs::metadata(original).unwrap().ino());
    assert_eq!(fs::read_to_string(again.join("vendor/lib/link")).unwrap(), "lib/deep/index.js".repeat(1000));
    assert_eq!(fs::read_to_string(direct.join(".heroku/node/bin/npm")).unwrap(), "bin/npm-cli.js".repeat(1000));
    for kept in ["vendor/none", "vendor/out"] {
        assert!(direct.join(kept).symlink_metadata().unwrap().is_symlink(), "{kept}");
    }
    // Standard tools read it, too: several frames are one archive.
    let listed = std::process::Command::new("tar").args(["--zstd", "-tf"]).arg(&slug).output();
    if let Some(listed) = listed.ok().filter(|listed| listed.status.success()) {
        let names = String::from_utf8(listed.stdout).unwrap();
        assert!(names.contains("app/.heroku/node/lib/node_modules/npm/lib/deep/index.js\n"), "{names}");
    }
}

#[test]
fn a_slug_does_not_depend_on_installed_parts() {
    let dir = tempfile::tempdir().unwrap();
    let installed = runtimes(dir.path());
    let from = dir.path().join("tree");
    fs::create_dir(&from).unwrap();
    app_with_runtimes(&from);
    let archive = dir.path().join("slug");
    let outputs = Outputs { runtimes: Some(&installed), ..Outputs::archive(&archive) };
    let entries = || {
        pack(&from, &outputs, 1 << 30, &CancellationToken::new()).unwrap();
        let mut tar = tar::Archive::new(zstd::Decoder::new(File::open(&archive).unwrap()).unwrap());
        let names = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let with_parts = entries();
    trees::remove(&dir.path().join("runtimes/shared/parts")).unwrap();
    assert_eq!(with_parts, entries());
}

#[test]
fn many_links_to_runtimes_count_as_what_they_become() {
    let dir = tempfile::tempdir().unwrap();
    let installed = runtimes(dir.path());
    let [from, archive] = ["tree", "slug"].map(|name| dir.path().join(name));
    fs::create_dir(&from).unwrap();
    (0..10).for_each(|n| symlink("/tmp/runtimes/files/npm-1.2.3", from.join(n.to_string())).unwrap());
    let refused = |unpacked, entries| {
        let most = Most { packed: 1 << 30, unpacked, bounds: Bounds { entries, ..Bounds::APP } };
        let outputs = Outputs { runtimes: Some(&installed), ..Outputs::archive(&archive) };
        match pack_within(&from, &outputs, &most, &CancellationToken::new()) {
            Err(Error::Failed { why }) => why,
            other => panic!("{:?}", other.map(|packed| packed.size)),
        }
    };
    assert_eq!(refused(1 << 30, 50), "there are more than 50 files and directories");
    assert_eq!(refused(200_000, 1000), "the app's files are larger than 0 MB");
}
