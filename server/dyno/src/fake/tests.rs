//! The fake keeps the promises of the trait.

use super::*;
use crate::{AppDir, Limits, Mounts};

fn spec(name: &str, port: Option<u16>) -> Spec {
    Spec {
        id: Uuid::from_u128(7),
        name: name.to_owned(),
        uid: *crate::uids::APPS.start(),
        command: "true".to_owned(),
        env: BTreeMap::new(),
        root: Mounts { app: AppDir::Empty, binds: Vec::new() },
        limits: Limits::default(),
        port,
        raw: false,
        time: None,
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
async fn a_reaction_is_had_at_the_start() {
    let driver = FakeDriver::new(Path::new("/nonexistent"));
    driver.react(|spec| match spec.name.as_str() {
        "release.1" => Reaction::Exit(3),
        _ => Reaction::Fail("No disk.".to_owned()),
    });
    let spec = spec("release.1", None);
    driver.start(&spec).await.unwrap();
    assert_eq!(driver.wait(spec.id).await.unwrap().code, Some(3));
}
