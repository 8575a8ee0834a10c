//! The `/etc` of a dyno: a little of its own, a little of the host's, nothing secret.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::{Spec, mounts, resolver};

/// Shown as the host has it, if it has it.
const SHARED: &[&str] = &[
    "ImageMagick-6",
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "lsb-release",
    "magic",
    "mime.types",
    "os-release",
    "perl",
    "pki",
    "protocols",
    "rpc",
    "services",
    "ssl",
    "timezone",
];

const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
    protocols: files\nservices: files\n";

/// The name that the app's user has inside.
pub(crate) fn user(uid: u32) -> String {
    format!("u{uid}")
}

/// The host name inside: stable for one run, and no secret.
pub(crate) fn hostname(spec: &Spec) -> String {
    spec.id.to_string()
}

/// Fills the directory, which is made.
pub(crate) fn write(etc: &Path, spec: &Spec) -> anyhow::Result<()> {
    fs::create_dir(etc).context("make /etc")?;
    for (name, text) in files(spec) {
        fs::write(etc.join(name), text).with_context(|| format!("write /etc/{name}"))?;
    }
    for name in SHARED {
        mounts::share(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    let Ok(entries) = fs::read_dir("/etc") else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // Versions differ: python3, python3.11, java-17-openjdk.
        let text = name.to_string_lossy();
        if text.starts_with("python3") || text.starts_with("java") {
            mounts::share(&entry.path(), &etc.join(&name))?;
        }
    }
    Ok(())
}

fn files(spec: &Spec) -> [(&'static str, String); 6] {
    let (uid, user, host) = (spec.uid, user(spec.uid), hostname(spec));
    [
        (
            "passwd",
            format!(
                "root:x:0:0:root:/root:/usr/sbin/nologin\n{user}:x:{uid}:{uid}::/app:/bin/bash\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\n{user}:x:{uid}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {host}\n::1 localhost ip6-localhost ip6-loopback\n")),
        ("hostname", format!("{host}\n")),
        ("resolv.conf", resolver::resolv_conf()),
        ("nsswitch.conf", NSSWITCH.to_owned()),
    ]
}
