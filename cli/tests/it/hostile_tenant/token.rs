//! The administrator's token: a program that listens on the platform's port must not receive it.

use std::fs;

use crate::{Home, platform::Platform};

/// Root's home on a machine with a data directory, and a listener on a port.
fn world() -> (Home, Platform) {
    let (home, platform) = (Home::new(), Platform::start(vec![]));
    fs::create_dir(home.0.join("data")).unwrap();
    fs::write(home.0.join("data/admin-token"), "the-administrators-token\n").unwrap();
    (home, platform)
}

#[test]
fn a_login_gives_it_to_no_listener() {
    let (home, platform) = world();
    let data = home.0.join("data").display().to_string();
    for args in [
        &["login", &platform.url][..],
        &["login", &platform.url, "--data", &data],
        &["login", &platform.url.replace("127.0.0.1", "localhost")],
    ] {
        let said = crate::run(home.command(crate::WHARF).args(args).env("WHARF_DATA", &data));
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        assert!(said.err.contains("is not used. No running platform on this machine"), "{}", said.err);
    }
    let said =
        crate::run(home.command(crate::WHARF).arg("login").env("WHARF_DATA", &data).env("WHARF_URL", &platform.url));
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert_eq!(platform.heard(), Vec::<String>::new(), "nobody was asked anything");
    assert!(!home.0.join(".config/wharf/credentials.json").exists());
}
