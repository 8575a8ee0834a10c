//! Malicious archives, and archives of all usual kinds.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use trees::NewTree;

use super::*;

fn workers() -> Workers {
    Workers::new().unwrap()
}

/// One entry: kind, path and target or content.
type Item<'a> = (EntryType, &'a str, &'a str);

fn archive(items: &[Item]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, path, content) in items {
        let mut header = Header::new_gnu();
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        header.set_size(if is_link { 0 } else { content.len() as u64 });
        // The library refuses to write such entries, so the bytes are set directly.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        if is_link {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_cksum();
        let body = if is_link { "" } else { content };
        builder.append(&header, body.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

async fn slug(items: &[Item<'_>]) -> (TempDir, Result<(), Error>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slug.tar");
    fs::write(&file, archive(items)).unwrap();
    fs::write(dir.path().join("victim"), "unharmed").unwrap();
    let done = unpack(&workers(), &file, &dir.path().join("out/slug"), 200_001).await;
    let message = |done: &Result<(), Error>| done.as_ref().map_err(|e| e.to_string()).copied();
    assert_eq!(message(&check(&workers(), &file).await), message(&done), "{items:?}");
    (dir, done)
}

async fn refused(items: &[Item<'_>]) {
    let (dir, done) = slug(items).await;
    assert!(done.is_err(), "{items:?} was unpacked");
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "unharmed");
    assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 0, "{items:?} left something");
}

use EntryType::{Directory, Link, Regular, Symlink};

#[tokio::test]
async fn paths_that_lead_out_are_refused() {
    refused(&[(Regular, "app/../../victim", "x")]).await;
    refused(&[(Regular, "/app/x", "x")]).await;
    refused(&[(Regular, "../victim", "x")]).await;
    refused(&[(Regular, "elsewhere/x", "x")]).await;
    refused(&[(Regular, "app", "a file")]).await;
    refused(&[(Symlink, "app", "/var/lib/wharf/slugs")]).await;
    refused(&[(Symlink, "./app/", "/etc")]).await;
    refused(&[(Regular, "app/x", "x"), (Symlink, "app", "/etc")]).await;
    refused(&[(Regular, "app/x", "x"), (Link, "app", "app/x")]).await;
    refused(&[(Regular, "app/x", "x"), (Regular, "app", "x")]).await;
    refused(&[]).await;
}

#[tokio::test]
async fn nothing_is_written_through_a_link() {
    refused(&[(Symlink, "app/out", "../.."), (Regular, "app/out/victim", "x")]).await;
    refused(&[(Symlink, "app/out", "/etc"), (Directory, "app/out/", "")]).await;
    refused(&[(Symlink, "app", "/etc"), (Regular, "app/x", "x")]).await;
    refused(&[(Directory, "app/d/", ""), (Symlink, "app/d", "/etc"), (Regular, "app/d/x", "x")]).await;
    refused(&[(Symlink, "app/l", "/etc"), (Link, "app/p", "app/l/passwd")]).await;
    refused(&[(Link, "app/p", "/etc/passwd")]).await;
    refused(&[(Link, "app/p", "app/../../victim")]).await;
    refused(&[(Symlink, "app/l", "/etc/passwd"), (Link, "app/p", "app/l")]).await;
    refused(&[(Directory, "app/d/", ""), (Link, "app/p", "app/d")]).await;
    refused(&[(Link, "app/p", "app/p")]).await;
    refused(&[(Link, "app/p", "app"), (Regular, "app/x", "x")]).await;
}

#[tokio::test]
async fn files_and_directories_do_not_take_each_others_place() {
    refused(&[(Regular, "app/a", "x"), (Directory, "app/a/", "")]).await;
    refused(&[(Regular, "app/a", "x"), (Regular, "app/a/b", "x")]).await;
    refused(&[(Regular, "app/a/b", "x"), (Regular, "app/a", "x")]).await;
    let (dir, done) = slug(&[(Regular, "app/a", "old"), (Regular, "app/a", "new"), (Directory, "app/", "")]).await;
    done.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("out/slug/a")).unwrap(), "new");
}

#[tokio::test]
async fn a_file_replaces_a_link_and_not_its_target() {
    let (dir, done) = slug(&[(Symlink, "app/l", "../../../victim"), (Regular, "app/l", "x")]).await;
    done.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "unharmed");
    assert_eq!(fs::read_to_string(dir.path().join("out/slug/l")).unwrap(), "x");
}

#[tokio::test]
async fn links_and_devices() {
    let (dir, done) = slug(&[
        (Regular, "./app/a", "x"),
        (Link, "./app/b", "./app/a"),
        (Symlink, "./app/c", "/etc/passwd"),
        (EntryType::Char, "./app/null", ""),
        (EntryType::Fifo, "./app/pipe", ""),
    ])
    .await;
    done.unwrap();
    let out = dir.path().join("out/slug");
    assert_eq!(fs::read_to_string(out.join("b")).unwrap(), "x");
    assert_eq!(fs::read_link(out.join("c")).unwrap(), Path::new("/etc/passwd"));
    assert!(!out.join("null").exists() && !out.join("pipe").exists());
    let etc = fs::metadata("/etc/passwd").unwrap();
    assert_eq!(etc.uid(), 0, "the target of a link keeps its owner");
}

async fn source(bytes: &[u8]) -> (TempDir, Result<(), Error>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("source");
    fs::write(&file, bytes).unwrap();
    let done = unpack_source(&workers(), &file, &dir.path().join("out"), 200_001).await;
    (dir, done)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn sources_of_all_kinds() {
    let plain = archive(&[(Regular, "index.html", "hi"), (Regular, "a/b", "x")]);
    for bytes in [plain.clone(), gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
        let (dir, done) = source(&bytes).await;
        done.unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("out/index.html")).unwrap(), "hi");
    }
    let (dir, done) = source(&archive(&[(Directory, "repo-abc/", ""), (Regular, "repo-abc/index.html", "hi")])).await;
    done.unwrap();
    assert!(dir.path().join("out/index.html").exists(), "the directory around it is left out");
    let file = dir.path().join("source");
    unpack_tree(&workers(), &file, &dir.path().join("tree"), 200_001).await.unwrap();
    assert!(dir.path().join("tree/repo-abc/index.html").exists(), "a commit is as it is");
    let (dir, done) = source(&archive(&[(Regular, "public/index.html", "hi")])).await;
    done.unwrap();
    assert!(dir.path().join("out/public/index.html").exists());
    let (dir, done) = source(&archive(&[(Directory, "./", ""), (Regular, "./only/index.html", "hi")])).await;
    done.unwrap();
    assert!(dir.path().join("out/only/index.html").exists());
}

#[tokio::test]
async fn an_invalid_source_is_an_error_of_the_app() {
    let whole = gzip(&archive(&[(Regular, "a", &"x".repeat(100_000))]));
    for bytes in [&b""[..], b"hello", &[0x1f, 0x8b, 1, 2, 3], &whole[..whole.len() / 2], &[0; 1024]] {
        let (dir, done) = source(bytes).await;
        let Err(Error::Failed { why }) = done else { panic!("{:?}", done) };
        assert!(why.starts_with("the source could not be unpacked: "), "{why}");
        assert!(!dir.path().join("out").exists());
    }
}

/// An entry as raw bytes: kind, path, and a content whose length may differ from the declared one.
fn entry(kind: u8, path: &[u8], size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o6777);
    header.set_size(size);
    header.as_mut_bytes()[..path.len()].copy_from_slice(path);
    header.set_cksum();
    let padding = content.len().next_multiple_of(512) - content.len();
    [header.as_bytes(), content, &vec![0; padding]].concat()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..6).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
        text.extend_from_slice(format!("{length} {key}=").as_bytes());
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    entry(b'x', b"pax", text.len() as u64, &text)
}

/// Extracts the bytes of a slug, with a limit of `limit` bytes and 64 MB for the unpacked data.
fn extracted(bytes: &[u8], limit: u64) -> (TempDir, Result<bool>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("slug"), bytes).unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    let file = || File::open(dir.path().join("slug")).unwrap();
    let tree = NewTree::new(Dir::open(&dir.path().join("out")).unwrap(), Some(200_001));
    let done = extract(file(), tree, Root::App, limit, Bounds::APP);
    // The check of an upload rejects exactly what unpacking rejects.
    let message = |done: &Result<bool>| done.as_ref().map_err(|e| e.to_string()).copied();
    let checked = extract(file(), Checklist::default(), Root::App, limit, Bounds::APP);
    assert_eq!(message(&checked), message(&done));
    (dir, done)
}

fn refusal(bytes: &[u8], limit: u64) -> String {
    let (_dir, done) = extracted(bytes, limit);
    done.unwrap_err().downcast::<Refused>().expect("the archive's fault").to_string()
}

/// `content` and then `zeros` zeros, compressed with zstd: hardly larger than the content.
fn with_zeros(content: &[u8], zeros: u64) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(content).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), zeros), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn extensions_are_not_read_whole() {
    for kind in *b"LKxg" {
        let bomb = with_zeros(&entry(kind, b"long", 8 << 30, b""), 1 << 20);
        assert_eq!(refusal(&bomb, 1 << 30), "a name or an attribute is longer than 64 KB", "{}", kind as char);
    }
}

#[test]
fn what_is_passed_over_counts() {
    // A device, another kind, a file outside the expected root: none is written, but all are decompressed.
    for kind in *b"3Z" {
        let bomb = with_zeros(&entry(kind, b"app/zeros", 80 << 20, b""), 80 << 20);
        assert_eq!(refusal(&bomb, 1), "it contains more than 0 MB");
    }
    let extensions = pax(&[("comment", &[b'x'; 60_000])]).repeat(1200);
    assert_eq!(refusal(&zstd::encode_all(&extensions[..], 1).unwrap(), 1), "it contains more than 0 MB");
    let file = with_zeros(&entry(b'0', b"app/zeros", 2 << 20, b""), 2 << 20);
    assert_eq!(refusal(&file, 1 << 20), "it contains more than 1 MB");
}

#[test]
fn a_window_that_needs_much_memory_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&entry(b'0', b"app/a", 1, b"a")).unwrap();
    assert!(refusal(&encoder.finish().unwrap(), 1 << 20).contains("memory"));
}

#[test]
fn names_of_all_kinds() {
    let file = entry(b'0', b"app/x", 1, b"x");
    let named = |path: &[u8]| [pax(&[("path", path)]), file.clone()].concat();
    let deep = |depth: usize| format!("app{}", "/d".repeat(depth));
    let long = format!("app{}", "/0123456789abcde".repeat(249));
    for (path, message) in [
        (&b"app/a\0b"[..], "contradicts itself"),
        (b"/app/a", "points outside"),
        (b"app/../../a", "points outside"),
        (b"a/app/a", "not under"),
        (format!("app/{}", "n".repeat(256)).as_bytes(), "could not be created"),
        (format!("{long}/0123456789abcdefg").as_bytes(), "a path is longer than 4000 bytes"),
        (deep(202).as_bytes(), "more than 200 nested directories"),
    ] {
        let refused = refusal(&named(path), 1 << 20);
        assert!(refused.contains(message), "{refused}");
    }
    for path in [&b"app/a\nb"[..], b"app/\xff\xfe", deep(201).as_bytes()] {
        let (dir, done) = extracted(&named(path), 1 << 20);
        done.unwrap();
        let below = Path::new(OsStr::from_bytes(path)).strip_prefix("app").unwrap();
        let made = fs::metadata(dir.path().join("out").join(below)).unwrap();
        assert_eq!((made.len(), made.mode() & 0o7777, made.uid()), (1, 0o777, 200_001), "setuid is dropped");
    }
    let refused = refusal(&named(b"/a\x1b[2Jb\n"), 1 << 20);
    assert!(!refused.contains('\x1b') && !refused.contains('\n'), "{refused:?}");
}

#[test]
fn an_archive_that_two_readers_would_read_differently_is_refused() {
    let file = entry(b'0', b"app/x", 1, b"x");
    assert!(refusal(&[pax(&[("size", b"0")]), file.clone()].concat(), 1 << 20).contains("contradicts itself"));
    assert!(refusal(&[pax(&[("GNU.sparse.major", b"1")]), file].concat(), 1 << 20).contains("sparse"));
    assert!(refusal(&entry(b'S', b"app/x", 1 << 40, b""), 1 << 20).contains("sparse"));
    assert!(refusal(&entry(b'0', b"app/x", 1000, b"too short"), 1 << 20).contains("not a readable"));
}

#[test]
fn a_small_archive_of_much_is_refused() {
    let bomb = with_zeros(&entry(b'0', b"app/zeros", (1 << 30) + 1, b""), 512);
    assert_eq!(refusal(&bomb, 8 << 30), "it contains more than 1024 MB");
}

async fn wait_until_free(disk: &Path, bytes: u64) {
    for _ in 0..500 {
        let now = nix::sys::statvfs::statvfs(disk).unwrap();
        if now.blocks_available() * now.fragment_size() >= bytes {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the space is not given back");
}

#[tokio::test]
async fn an_archive_that_exceeds_the_disk_is_not_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, file) = (dir.path().join("disk"), dir.path().join("slug.tar"));
    fs::create_dir(&disk).unwrap();
    let mount =
        || std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=300m", "none"]).arg(&disk).status();
    assert!(mount().unwrap().success());
    let mut done = Vec::new();
    for megabytes in [100, 1] {
        fs::write(&file, archive(&[(Regular, "./app/big", &"x".repeat(megabytes << 20))])).unwrap();
        // Files that a killed worker had open are released when its process is gone.
        wait_until_free(&disk, 290 << 20).await;
        let unpacked = unpack(&workers(), &file, &disk.join("out/slug"), 200_001).await;
        done.push((unpacked.map_err(|err| err.to_string()), fs::read_dir(disk.join("out")).unwrap().count()));
    }
    assert!(std::process::Command::new("umount").arg(&disk).status().unwrap().success());
    let said = done[0].0.as_ref().unwrap_err();
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!((done[0].1, &done[1]), (0, &(Ok(()), 1)));
}
