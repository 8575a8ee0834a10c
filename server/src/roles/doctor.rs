//! `wharfd doctor`: checks this machine and explains how to fix problems.

mod folders;
mod jobs;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    config::{CLIENT_ADDRESSES_ARE_HIDDEN, Settings},
    data, lock,
    machine::{self, BUILD_PROGRAMS, PROGRAMS, kernel, port},
    postgres,
};

/// The result of one check.
enum Verdict {
    Good(String),
    /// Something is degraded, or does not work for some apps.
    Warn(String),
    /// The platform cannot start or cannot run dynos.
    Bad(String),
}

use Verdict::{Bad, Good, Warn};

/// Prints a line per check; the exit status is 1 if the platform cannot run.
pub fn run(settings: &Settings) -> ExitCode {
    let mut settings = settings.clone();
    if let Err(err) = settings.resolve() {
        eprintln!("wharfd doctor: {err:#}");
        return ExitCode::FAILURE;
    }
    let findings = look(&settings);
    for (name, verdict) in &findings {
        let (mark, text) = match verdict {
            Good(text) => ("ok  ", text),
            Warn(text) => ("warn", text),
            Bad(text) => ("BAD ", text),
        };
        println!("{mark}  {name:<16} {text}");
    }
    match findings.iter().filter(|(_, v)| matches!(v, Bad(_))).count() {
        0 => ExitCode::SUCCESS,
        n => {
            println!("\n{n} of these must be fixed before Wharf can run properly.");
            ExitCode::FAILURE
        }
    }
}

fn look(settings: &Settings) -> Vec<(&'static str, Verdict)> {
    let kernel = |found: kernel::Finding| found.map_or_else(Bad, Good);
    vec![
        ("root", machine::must_be_root().map_or_else(|err| Bad(err.to_string()), |()| Good("running as root".into()))),
        ("programs", programs()),
        ("build tools", build_programs()),
        ("postgres", postgres(settings)),
        ("namespaces", kernel(kernel::namespaces())),
        ("mounts", kernel(kernel::mounts())),
        ("overlayfs", kernel(kernel::overlay())),
        ("cgroups", kernel(kernel::cgroups())),
        ("nftables", kernel(kernel::nftables())),
        ("memory", memory()),
        ("app memory", budget(settings)),
        ("app disks", disks(settings)),
        ("disk bandwidth", bandwidth(settings.host().disk_weight(), kernel::weighs_disks())),
        ("networks", networks(settings)),
        ("app users", users()),
        ("data", data(settings)),
        ("permissions", closed(settings)),
        ("audit log", folders::anchor(&settings.audit_anchor(), &settings.data)),
        ("backups", folders::backup(&settings.data)),
        ("router files", folders::router(&settings.data)),
        ("disk", disk(settings)),
        ("port", listen(settings)),
        ("proxies", proxies(settings)),
        ("ipv6", ipv6()),
        ("outbound", outbound(settings)),
        ("platform", platform(settings)),
        ("jobs", jobs::failed(settings)),
    ]
}

fn programs() -> Verdict {
    match machine::missing_programs(&PROGRAMS) {
        Some(why) => Bad(why),
        None => Good(PROGRAMS.iter().map(|p| p.name).collect::<Vec<_>>().join(", ")),
    }
}

fn build_programs() -> Verdict {
    match machine::missing_programs(&BUILD_PROGRAMS) {
        Some(why) => Warn(why),
        None => Good(BUILD_PROGRAMS.iter().map(|p| p.name).collect::<Vec<_>>().join(", ")),
    }
}

fn postgres(settings: &Settings) -> Verdict {
    if settings.database_url.is_some() {
        return Good("external, WHARF_DATABASE_URL".into());
    }
    let installed = postgres::installed();
    let made_by = fs::read_to_string(settings.data.join("postgres/PG_VERSION")).unwrap_or_default();
    let made_by = made_by.trim().parse::<u32>().ok();
    match (installed.first(), made_by) {
        (None, _) => Bad("missing; install it with: apt-get install postgresql".into()),
        (_, Some(major)) if installed.iter().all(|(m, _)| *m != major) => Bad(format!(
            "the data directory needs version {major}; install it with: apt-get install postgresql-{major}"
        )),
        (Some((major, bin)), _) => match machine::postgres_user() {
            Ok(_) => Good(format!("version {} in {}", made_by.unwrap_or(*major), bin.display())),
            Err(err) => Bad(err.to_string()),
        },
    }
}

fn memory() -> Verdict {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available =
        text.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok());
    match available.map(|kib| kib >> 10) {
        Some(mib) if mib < 512 => Warn(format!("{mib} MiB available; a single build can need 1,024")),
        Some(mib) => Good(format!("{mib} MiB available")),
        None => Warn("the kernel does not report available memory".into()),
    }
}

/// The total budget of apps and builds, and whether it is in effect, as it is once the platform has run.
fn budget(settings: &Settings) -> Verdict {
    let host = settings.host();
    let (budget, in_force) = match (host.budget(), host.in_force()) {
        (Ok(budget), Ok(in_force)) => (budget, in_force),
        (Err(err), _) | (_, Err(err)) => return Bad(err.to_string()),
    };
    let shown =
        format!("{} MiB and {} processes; the rest is reserved for the system", budget.memory >> 20, budget.pids);
    // The kernel counts memory in pages.
    match in_force {
        (Some(memory), Some(pids)) if memory >> 20 == budget.memory >> 20 && pids == budget.pids => Good(shown),
        (None, None) => Good(format!("{shown}; takes effect at the next start")),
        (memory, pids) => {
            let number = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
            let (memory, pids) = (number(memory.map(|bytes| bytes >> 20)), number(pids));
            Warn(format!("{shown}; currently in effect: {memory} MiB and {pids} processes. Restart wharfd up"))
        }
    }
}

fn disks(settings: &Settings) -> Verdict {
    // The folder of the images, or its nearest existing ancestor.
    let folder = settings.data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    match dyno::disks::missing(folder) {
        None => Good(format!(
            "images on loop devices: {} MB per dyno, {} MB per build",
            settings.dyno_disk_mb, settings.build_disk_mb
        )),
        Some(why) => Warn(format!("disk usage of apps is not limited: {why}")),
    }
}

/// The weight of all apps together at disks, which has an effect if a scheduler uses it.
fn bandwidth(weight: Result<Option<u64>, String>, is_used: bool) -> Verdict {
    match weight {
        Err(why) => Warn(format!("apps compete with the platform for disks on equal terms: {why}")),
        Ok(_) if !is_used => Warn(
            "apps compete with the platform for disks on equal terms: no disk has an I/O scheduler that supports weights; \
             for example: echo bfq > /sys/block/DISK/queue/scheduler"
                .into(),
        ),
        Ok(Some(weight)) => Good(format!("all apps together have a weight of {weight}, everything else has 100")),
        Ok(None) => Good("apps get a lower weight than everything else at the next start".into()),
    }
}

fn networks(settings: &Settings) -> Verdict {
    match settings.dyno_networks.as_slice() {
        [] => Good("apps can reach the internet, but no private networks; WHARF_DYNO_NETWORKS allows some".into()),
        open => {
            let open: Vec<String> = open.iter().map(ToString::to_string).collect();
            Good(format!("apps can reach the internet and the private networks {}", open.join(", ")))
        }
    }
}

fn users() -> Verdict {
    let (first, last) = (dyno::uids::ALL.start(), dyno::uids::ALL.end());
    match machine::users::overlaps() {
        taken if taken.is_empty() => Good(format!("uids {first} to {last} are unused")),
        taken => Bad(format!(
            "uids {first} to {last} are reserved for Wharf, but {}; change that, or apps can run as the same user",
            taken.join(", ")
        )),
    }
}

/// Whether other users can read the platform's files.
fn closed(settings: &Settings) -> Verdict {
    let (data, run) = (&settings.data, settings.run());
    let open = data::open_places(data, &run);
    if open.is_empty() {
        return Good(format!("{} and {} are not accessible to other users", data.display(), run.display()));
    }
    let (passed, others): (Vec<_>, Vec<_>) = open.iter().partition(|place| data::is_passed(place, data, &run));
    let command = |chmod: &str, places: &[&PathBuf]| {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        (!places.is_empty()).then(|| format!("{chmod} {}", places.join(" ")))
    };
    let commands: Vec<String> =
        [command("chmod 711", &passed), command("chmod go=", &others)].into_iter().flatten().collect();
    Bad(format!("other users can access the platform's files; fix it with: {}", commands.join(" && ")))
}

fn data(settings: &Settings) -> Verdict {
    match data::trouble(&settings.data, settings.master_key.is_some()) {
        Some(why) => Bad(why),
        None if settings.data.exists() => Good(settings.data.display().to_string()),
        None => Good(format!("{} will be created", settings.data.display())),
    }
}

fn disk(settings: &Settings) -> Verdict {
    match (machine::disk_trouble(&settings.data), machine::disk(&settings.data)) {
        (Some(why), _) => Bad(why),
        (None, Some((free, total))) if free < 5 << 30 => {
            Warn(format!("{} MiB of {} GiB free; slugs and build caches will need more", free >> 20, total >> 30))
        }
        (None, Some((free, total))) => Good(format!("{} GiB of {} GiB free", free >> 30, total >> 30)),
        (None, None) => Warn("could not be checked".into()),
    }
}

fn listen(settings: &Settings) -> Verdict {
    let ours = lock::holder_of(&settings.run().join("router.lock"));
    match ours {
        Ok(Some(router)) => Good(format!("Wharf's router listens on {}, process {}", router.note, router.pid)),
        _ => match port::claim(settings.listen) {
            Ok(addr) => Good(format!("{addr} is free")),
            Err(why) => Bad(why.to_string()),
        },
    }
}

fn proxies(settings: &Settings) -> Verdict {
    let trusted = &settings.trusted_proxies;
    match (settings.client_addresses_are_hidden(), trusted.is_empty()) {
        (true, _) => Warn(CLIENT_ADDRESSES_ARE_HIDDEN.into()),
        (_, true) if settings.proxy_protocol => {
            Warn("--proxy-protocol is set, but --trusted-proxies is empty, so it has no effect".into())
        }
        (_, true) => Good("none: clients connect directly".into()),
        _ => {
            let dynos = settings.dyno_addresses();
            let how = if settings.proxy_protocol { ", also through the PROXY protocol" } else { "" };
            let but = match trusted.overlaps(&dynos) {
                true => format!(", except {dynos}, the addresses of apps"),
                false => String::new(),
            };
            Good(format!("client addresses from {trusted} are trusted{how}{but}"))
        }
    }
}

fn ipv6() -> Verdict {
    match port::has_ipv6_loopback() {
        true => Good("[::1] is available".into()),
        false => {
            Warn("[::1] is not available; clients that resolve localhost only to it cannot reach the platform".into())
        }
    }
}

/// Requests that the platform sends for users: sources, identity providers.
fn outbound(settings: &Settings) -> Verdict {
    match settings.outbound_networks.is_empty() {
        true => Good("the platform sends requests to public addresses only".into()),
        false => Good(format!("the platform sends requests to public addresses and {}", settings.networks())),
    }
}

fn platform(settings: &Settings) -> Verdict {
    let running = |role: &str| {
        let holder = lock::holder_of(&settings.run().join(format!("{role}.lock"))).ok().flatten();
        holder.map(|h| format!("{role} is process {}", h.pid))
    };
    let roles: Vec<String> = ["up", "server", "router"].into_iter().filter_map(running).collect();
    match roles.len() {
        0 => Good("not running".into()),
        3 => Good(roles.join(", ")),
        _ => Warn(format!(
            "only {} of up, server and router are running ({}); start wharfd up",
            roles.len(),
            roles.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_at_disks_are_reported_with_their_effect() {
        assert!(matches!(bandwidth(Ok(Some(50)), true), Good(text) if text.contains("a weight of 50")));
        assert!(matches!(bandwidth(Ok(None), true), Good(text) if text.contains("at the next start")));
        assert!(matches!(bandwidth(Ok(Some(50)), false), Warn(text) if text.contains("no disk has an I/O scheduler")));
        let missing = Err("the cgroup controller is missing".to_owned());
        assert!(matches!(bandwidth(missing, true), Warn(text) if text.contains("the cgroup controller is missing")));
    }
}
