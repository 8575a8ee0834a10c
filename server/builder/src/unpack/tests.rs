//! Archives that mean harm, and archives of all usual kinds.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

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
        // The library refuses to write what is under test, so the bytes are set.
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

async fn slug(items: &[Item<'_>]) -> (TempDir, Result<()>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slug.tar");
    fs::write(&file, archive(items)).unwrap();
    fs::write(dir.path().join("victim"), "unharmed").unwrap();
    let done = unpack(&file, &dir.path().join("out/slug"), 200_001).await;
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
    let done = unpack_source(&file, &dir.path().join("out")).await;
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
    unpack_tree(&file, &dir.path().join("tree")).await.unwrap();
    assert!(dir.path().join("tree/repo-abc/index.html").exists(), "a commit is as it is");
    let (dir, done) = source(&archive(&[(Regular, "public/index.html", "hi")])).await;
    done.unwrap();
    assert!(dir.path().join("out/public/index.html").exists());
    let (dir, done) = source(&archive(&[(Directory, "./", ""), (Regular, "./only/index.html", "hi")])).await;
    done.unwrap();
    assert!(dir.path().join("out/only/index.html").exists());
}

#[tokio::test]
async fn what_is_no_source_is_the_apps_fault() {
    let whole = gzip(&archive(&[(Regular, "a", &"x".repeat(100_000))]));
    for bytes in [&b""[..], b"hello", &[0x1f, 0x8b, 1, 2, 3], &whole[..whole.len() / 2], &[0; 1024]] {
        let (dir, done) = source(bytes).await;
        let Err(Error::Failed { why }) = done else { panic!("{:?}", done) };
        assert!(why.starts_with("the source cannot be unpacked: "), "{why}");
        assert!(!dir.path().join("out").exists());
    }
}
