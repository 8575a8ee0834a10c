//! The /etc of a dyno: a selection of this machine's files, and a few files of the dyno's own.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::network;

/// The visible files of /etc, if they exist and are world-readable; `*` stands for any ending.
const ETC: [&str; 41] = [
    "ImageMagick*",
    "alternatives",
    "bash.bashrc",
    "bindresvport.blacklist",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "default/locale",
    "ethertypes",
    "fonts",
    "gai.conf",
    "ghostscript",
    "host.conf",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "mailcap",
    "maven",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "perl",
    "php",
    "pki",
    "protocols",
    "python*",
    "rpc",
    "services",
    "shells",
    "ssl",
    "terminfo",
    "timezone",
    "xml",
];

/// The listed files of the machine's /etc that exist.
pub(crate) fn shown() -> io::Result<Vec<PathBuf>> {
    let names: Vec<String> =
        fs::read_dir("/etc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let mut shown = Vec::new();
    for pattern in ETC {
        match pattern.strip_suffix('*') {
            None => shown.push(pattern),
            Some(start) => shown.extend(names.iter().map(String::as_str).filter(|name| name.starts_with(start))),
        }
    }
    Ok(shown.into_iter().map(|name| PathBuf::from("etc").join(name)).collect())
}

/// The files of /etc that are written for the dyno.
pub(crate) fn files(uid: u32, address: Ipv4Addr, hostname: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\n\
                 wharf:x:{uid}:{uid}::/app:/bin/bash\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\nwharf:x:{uid}:\nnogroup:x:65534:\n")),
        ("hostname", format!("{hostname}\n")),
        (
            "hosts",
            format!(
                "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n\
                 {address} {hostname}\n"
            ),
        ),
        ("resolv.conf", network::resolv_conf()),
    ]
}
