//! The fake keeps the promises of the trait.

use api::ids::RunId;

use super::*;
use crate::{Artifact, Limits, Mounts};

fn spec(name: &str, port: Option<u16>) -> Spec {
    Spec {
        id: RunId::from_u128(7),
        name: name.to_owned(),
        uid: *crate::uids::APPS.start(),
        command: "true".to_owned(),
        env: BTreeMap::new(),
        root: Mounts { artifact: Artifact::Empty, binds: Vec::new() },
        limits: Limits::default(),
        port,
        raw: false,
        time: None,
        terminal: None,
    }
}

#[tokio::test]
async fn a_dyno_listens_until_sigterm() {
    let driver = FakeDriver::new(Path::new("/nonexistent"));
    let spec = spec("web.1", Some(5000));
    let handle = driver.start(&spec).await.unwrap();
    assert_eq!(driver.start(&spec).await.unwrap(), handle);
    assert_eq!(driver.started().len(), 1);
    let addr = handle.addr.unwrap();
    std::net::TcpStream::connect(addr).unwrap();

    let (exit, sent) = tokio::join!(driver.wait(spec.id), driver.signal(spec.id, libc::SIGTERM));
    sent.unwrap();
    assert_eq!(exit.unwrap().status(), 143);
    std::net::TcpStream::connect(addr).unwrap_err();

    driver.remove(spec.id).await.unwrap();
    assert_eq!(driver.status(spec.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_reaction_applies_at_the_start() {
    let driver = FakeDriver::new(Path::new("/nonexistent"));
    driver.react(|spec| match spec.name.as_str() {
        "release.1" => Reaction::Exit(3),
        _ => Reaction::Fail("No disk.".to_owned()),
    });
    let spec = spec("release.1", None);
    driver.start(&spec).await.unwrap();
    assert_eq!(driver.wait(spec.id).await.unwrap().code, Some(3));
}

#[tokio::test]
async fn output_is_read_from_a_cursor_and_ends_with_the_dyno() {
    let folder = tempfile::tempdir().unwrap();
    let driver = FakeDriver::new(folder.path());
    let spec = spec("web.1", None);
    driver.start(&spec).await.unwrap();
    let mut output = driver.output(spec.id, Cursor::default());
    let nothing = output.read_batch(10).unwrap();
    assert!(nothing.entries.is_empty() && !nothing.is_end);
    ["one", "two", "three"].iter().for_each(|text| driver.say(spec.id, b'o', text).unwrap());
    driver.exit(spec.id, 0);
    let texts = |batch: &spool::Batch| -> Vec<String> {
        batch.entries.iter().map(|entry| String::from_utf8_lossy(&entry.text).into_owned()).collect()
    };
    let first = output.read_batch(2).unwrap();
    assert_eq!((texts(&first), first.is_full, first.is_end), (vec!["one".to_owned(), "two".to_owned()], true, false));
    let mut resumed = driver.output(spec.id, first.cursor);
    let second = resumed.read_batch(2).unwrap();
    assert_eq!((texts(&second), second.is_full, second.is_end), (vec!["three".to_owned()], false, false));
    assert!(resumed.read_batch(2).unwrap().is_end);
    driver.remove(spec.id).await.unwrap();
    assert!(driver.output(RunId::from_u128(8), Cursor::default()).read_batch(1).unwrap().is_end, "it never existed");
}
