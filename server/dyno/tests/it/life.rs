//! The life of a dyno, from start to end, across restarts of its driver.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use dyno::{Artifact, Driver, Host, Phase, ProcessDriver};
use spool::Cursor;

use crate::world::{UID, World, until, within};

#[tokio::test]
async fn output_reaches_the_spool_by_stream() {
    let world = World::new();
    let spec = world.spec("echo out; echo err >&2; printf 'no end'");
    let handle = world.start(&spec).await;
    world.driver.wait(spec.id).await.unwrap();
    let read = world.output(handle.id);
    let mut said: Vec<(char, String)> =
        read.iter().map(|entry| (char::from(entry.kind), String::from_utf8_lossy(&entry.text).into_owned())).collect();
    said.sort();
    let expected = [('e', "err"), ('o', "no end"), ('o', "out")];
    assert_eq!(said, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[tokio::test]
async fn output_is_read_from_a_cursor_and_ends_with_the_dyno() {
    let world = World::new();
    let spec = world.spec("trap 'echo two; exit' TERM; echo one; while :; do sleep 0.1; done");
    world.start_until(&spec, "one").await;
    let mut output = world.driver.output(spec.id, Cursor::default());
    let first = output.read_batch(1).unwrap();
    assert_eq!(first.entries[0].text, b"one");
    let nothing = output.read_batch(1).unwrap();
    assert!(nothing.entries.is_empty() && !nothing.is_end, "it runs: {nothing:?}");
    world.driver.signal(spec.id, libc::SIGTERM).await.unwrap();
    world.driver.wait(spec.id).await.unwrap();
    // As after a restart.
    let mut output = ProcessDriver::new(world.data.path(), &Host::default()).unwrap().output(spec.id, first.cursor);
    let rest = output.read_batch(100).unwrap();
    assert!(rest.entries.iter().any(|entry| entry.text == b"two") && !rest.is_end, "{rest:?}");
    assert!(rest.entries.iter().all(|entry| entry.text != b"one"), "{rest:?}");
    assert!(output.read_batch(100).unwrap().is_end);
    world.driver.remove(spec.id).await.unwrap();
    assert!(world.driver.output(spec.id, Cursor::default()).read_batch(100).unwrap().is_end);
}

#[tokio::test]
async fn long_lines_are_cut_and_bytes_are_kept() {
    let world = World::new();
    let spec = world.spec("head -c 25000 /dev/zero | tr '\\0' x; echo; printf '\\377\\n'");
    let handle = world.start(&spec).await;
    world.driver.wait(spec.id).await.unwrap();
    let read = world.output(handle.id);
    let lengths: Vec<usize> = read.iter().map(|entry| entry.text.len()).collect();
    assert_eq!(lengths, [10_000, 10_000, 5_000, 1]);
    assert_eq!(read[3].text, [0xff]);
}

#[tokio::test]
async fn twenty_thousand_lines_arrive_in_order() {
    let world = World::new();
    let (exit, lines) = world.run(&world.spec("seq 20000")).await;
    assert_eq!(exit.code, Some(0));
    assert_eq!(lines, (1..=20_000).map(|n: u32| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn exit_codes_and_signals_are_distinguished() {
    let world = World::new();
    for (command, code, signal) in [
        ("true", Some(0), None),
        ("exit 255", Some(255), None),
        ("no-such-program", Some(127), None),
        ("kill -SEGV $$", None, Some(libc::SIGSEGV)),
        ("sleep 1 & exit 7", Some(7), None),
    ] {
        let (exit, lines) = world.run(&world.spec(command)).await;
        assert_eq!((exit.code, exit.signal), (code, signal), "{command}: {lines:?}");
        assert!(!exit.oom);
    }
}

#[tokio::test]
async fn the_command_has_its_environment_and_no_other() {
    let world = World::new();
    let mut spec = world.spec("exec env");
    spec.env.insert("SECRET".into(), "it's \"$HOME\" `x`".into());
    spec.port = Some(5000);
    let (_, mut lines) = world.run(&spec).await;
    lines.retain(|line| !line.starts_with("_=") && !line.starts_with("OLDPWD="));
    lines.sort();
    let expected = [
        "DYNO=web.1",
        "HOME=/app",
        "LANG=C.UTF-8",
        "MEMORY_AVAILABLE=512",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "PORT=5000",
        "PWD=/app",
        "SECRET=it's \"$HOME\" `x`",
        "SHLVL=0",
        "USER=wharf",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn profile_scripts_come_before_the_command() {
    let world = World::new();
    let slug = world.slug(&[
        (".profile.d/a.sh", "export A=1; set -- x y"),
        (".profile", "export B=$((A + 1))"),
        ("script", "echo script"),
    ]);
    let mut spec = world.spec("echo $A $B; bash script; touch written && ls -A");
    spec.root.artifact = Artifact::Slug(slug.clone());
    let (exit, lines) = world.run(&spec).await;
    assert_eq!(exit.code, Some(0), "{lines:?}");
    assert_eq!(lines, ["1 2", "script", ".profile", ".profile.d", "script", "written"]);
    assert!(!slug.join("written").exists());
}

#[tokio::test]
async fn raw_commands_skip_the_profile() {
    let world = World::new();
    let mut spec = world.spec("echo $0 ${A:-none}");
    spec.root.artifact = Artifact::Slug(world.slug(&[(".profile", "export A=1")]));
    spec.raw = true;
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["/bin/sh none"]);
}

#[tokio::test]
async fn sigterm_reaches_every_process() {
    let world = World::new();
    let catch = "trap 'echo child got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let spec = world.spec(&format!("trap 'wait; echo parent got it; exit 4' TERM; bash -c \"{catch}\" & wait"));
    let handle = world.start_until(&spec, "ready").await;
    world.driver.signal(spec.id, libc::SIGTERM).await.unwrap();
    let exit = world.driver.wait(spec.id).await.unwrap();
    assert_eq!(exit.code, Some(4));
    let mut said = world.lines(handle.id);
    said.retain(|line| line != "Terminated"); // what bash may print about the `sleep`
    assert_eq!(said, ["ready", "child got it", "parent got it"]);
}

/// As with `npm start`: the first process ends at once on SIGTERM, and the server below it finishes its requests.
#[tokio::test]
async fn after_sigterm_the_other_processes_may_finish_when_the_first_has_ended() {
    let world = World::new();
    let drain = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done; echo drained; exit 0";
    let server = format!("trap '{drain}' TERM; echo ready; while :; do sleep 0.1; done");
    for first in ["trap 'exit 3' TERM; ", ""] {
        let spec = world.spec(&format!("{first}bash -c \"{server}\" & wait"));
        let handle = world.start_until(&spec, "ready").await;
        world.driver.signal(spec.id, libc::SIGTERM).await.unwrap();
        let exit = world.driver.wait(spec.id).await.unwrap();
        let expected = if first.is_empty() { (None, Some(libc::SIGTERM)) } else { (Some(3), None) };
        assert_eq!((exit.code, exit.signal), expected);
        let said = world.lines(handle.id);
        assert!(said.contains(&"drained".to_owned()), "{said:?}");
    }
}

#[tokio::test]
async fn what_does_not_finish_after_sigterm_is_killed_with_the_dyno() {
    let world = World::new();
    let spec = world.spec("bash -c \"trap '' TERM; echo ready; while :; do sleep 0.1; done\" & wait");
    world.start_until(&spec, "ready").await;
    world.driver.signal(spec.id, libc::SIGTERM).await.unwrap();
    assert_eq!(world.driver.status(spec.id).await.unwrap().unwrap().phase, Phase::Running);
    world.driver.signal(spec.id, libc::SIGKILL).await.unwrap();
    world.driver.wait(spec.id).await.unwrap();
}

#[tokio::test]
async fn without_sigterm_the_other_processes_end_with_the_first() {
    let world = World::new();
    // One of them has no output left that anybody could wait for.
    let spec = world.spec("(trap '' TERM; exec >/dev/null 2>&1; sleep 1000) & (sleep 1000) & echo ready; exit 5");
    world.start_until(&spec, "ready").await;
    let exit = world.driver.wait(spec.id).await.unwrap();
    assert_eq!(exit.code, Some(5));
}

#[tokio::test]
async fn sigterm_ends_processes_that_do_not_handle_it() {
    let world = World::new();
    for command in ["echo ready; exec sleep 1000", "echo ready; sleep 1000; true"] {
        let spec = world.spec(command);
        world.start_until(&spec, "ready").await;
        world.driver.signal(spec.id, libc::SIGTERM).await.unwrap();
        let exit = world.driver.wait(spec.id).await.unwrap();
        assert_eq!((exit.code, exit.signal), (None, Some(libc::SIGTERM)));
        assert_eq!(exit.status(), 143);
        world.driver.signal(spec.id, libc::SIGTERM).await.unwrap();
    }
}

#[tokio::test]
async fn starting_twice_is_starting_once() {
    let world = World::new();
    let spec = world.spec("echo ready; exec sleep 1000");
    let first = world.start_until(&spec, "ready").await;
    let (second, third) = tokio::join!(world.driver.start(&spec), world.driver.start(&spec));
    assert_eq!((&second.unwrap(), &third.unwrap()), (&first, &first));
    assert_eq!(world.lines(first.id), ["ready"]);

    let new = world.spec("echo once; exec sleep 1000");
    let (a, b) = tokio::join!(world.start_until(&new, "once"), world.start_until(&new, "once"));
    assert_eq!(a, b);
    assert_eq!(world.lines(a.id), ["once"]);
}

#[tokio::test]
async fn a_new_driver_finds_dynos_again() {
    let world = World::new();
    let mut spec = world.spec("echo ready; exec sleep 1000");
    spec.port = Some(5000);
    let handle = world.start_until(&spec, "ready").await;
    let again = ProcessDriver::new(world.data.path(), &Host::default()).unwrap();
    let listed = again.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].handle, &listed[0].phase), (&handle, &Phase::Running));
    assert_eq!(handle.addr.unwrap().port(), 5000);

    let (exit, sent) = tokio::join!(again.wait(spec.id), again.signal(spec.id, libc::SIGKILL));
    sent.unwrap();
    assert_eq!(exit.unwrap().signal, Some(libc::SIGKILL));
    assert!(matches!(world.phase(spec.id).await, Some(Phase::Exited(_))));
}

#[tokio::test]
async fn the_shim_is_nobodys_child_and_in_no_group_of_ours() {
    let world = World::new();
    let spec = world.spec("echo ready; exec sleep 1000");
    world.start_until(&spec, "ready").await;
    let shim = world.shim(spec.id);
    let status = std::fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
    assert!(!status.contains(&format!("PPid:\t{}\n", std::process::id())), "{status}");
    assert!(status.contains("Threads:\t1\n"));
    let groups = std::fs::read_to_string(format!("/proc/{shim}/cgroup")).unwrap();
    assert!(groups.lines().any(|line| line.ends_with("/wharf/shims")), "{groups}");
    // SAFETY: plain system calls.
    assert_ne!(unsafe { libc::getsid(shim) }, unsafe { libc::getsid(0) });
}

#[tokio::test]
async fn secrets_do_not_stay_on_disk() {
    let world = World::new();
    let mut spec = world.spec("echo ready; exec sleep 1000");
    spec.env.insert("KEY".into(), "s3cr3t-value".into());
    world.start_until(&spec, "ready").await;
    let state = world.state(spec.id);
    assert!(!state.join("spec.json").exists());
    for file in ["dyno.json", "net.json", "shim.log", "shim.pid"] {
        assert!(!std::fs::read_to_string(state.join(file)).unwrap().contains("s3cr3t"));
    }
    let mode = std::fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[tokio::test]
async fn when_the_shim_is_killed_everything_dies() {
    let world = World::new();
    let marker = format!("{}.5", 70_000 + std::process::id());
    let spec = world.spec(&format!("sleep {marker} & echo ready; sleep {marker}; true"));
    world.start_until(&spec, "ready").await;
    until(|| processes_with(&marker) == 3).await;
    // SAFETY: plain system call.
    unsafe { libc::kill(world.shim(spec.id), libc::SIGKILL) };
    let exit = within(Duration::from_secs(20), world.driver.wait(spec.id)).await.unwrap();
    let error = "The machine or the supervisor of this dyno was stopped.";
    assert_eq!(exit.error.as_deref(), Some(error));
    until(|| processes_with(&marker) == 0).await;
    assert_eq!(world.driver.wait(spec.id).await.unwrap(), exit);
}

#[tokio::test]
async fn dynos_lost_in_a_reboot_are_reported_as_stopped() {
    let world = World::new();
    let spec = world.spec("exec sleep 1000");
    world.start(&spec).await;
    let copy = world.data.path().join("dynos/00000000-0000-4000-8000-000000000001");
    std::fs::create_dir(&copy).unwrap();
    for file in ["dyno.json", "shim.pid", "shim.lock"] {
        std::fs::copy(world.state(spec.id).join(file), copy.join(file)).unwrap();
    }
    let id = "00000000-0000-4000-8000-000000000001".parse().unwrap();
    let Some(Phase::Exited(exit)) = world.phase(id).await else { panic!() };
    assert!(exit.error.unwrap().contains("was stopped"));
    assert_eq!(world.phase(spec.id).await, Some(Phase::Running));
    world.driver.remove(id).await.unwrap();
}

#[tokio::test]
async fn a_dyno_that_cannot_start_has_a_reason() {
    let world = World::new();
    let mut spec = world.spec("true");
    spec.root.artifact = Artifact::Slug("/no/such/slug".into());
    let (exit, lines) = world.run(&spec).await;
    assert_eq!(exit.error.as_deref(), Some("The slug is not at /no/such/slug. Deploy again."));
    assert_eq!(lines, [""; 0]);
    assert!(!world.state(spec.id).join("spec.json").exists());
    let again = world.start(&spec).await;
    assert_eq!(again.id, spec.id);
}

#[tokio::test]
async fn removal_leaves_nothing() {
    let world = World::new();
    let mut spec = world.spec("touch /tmp/x; sleep 1000 & echo ready; sleep 1000");
    spec.port = Some(5000);
    world.start_until(&spec, "ready").await;
    let net = std::fs::read_to_string(world.state(spec.id).join("net.json")).unwrap();
    let net: serde_json::Value = serde_json::from_str(&net).unwrap();
    let interface = format!("/sys/class/net/{}", net["interface"].as_str().unwrap());
    let slot = format!("/run/wharf/network/{}", net["slot"]);
    let state = world.state(spec.id);
    assert!(std::path::Path::new(&interface).exists() && std::path::Path::new(&slot).exists());

    world.driver.remove(spec.id).await.unwrap();
    assert!(!std::path::Path::new(&interface).exists());
    let owner = std::fs::read_to_string(&slot).unwrap_or_default();
    assert_ne!(owner, state.canonicalize().unwrap_or(state.clone()).to_string_lossy());
    assert!(!state.exists());
    // Its files are deleted in the background.
    let dynos = || std::fs::read_dir(world.data.path().join("dynos")).unwrap().map(|entry| entry.unwrap().file_name());
    until(|| dynos().all(|name| name.to_string_lossy().starts_with(".disk-"))).await;
    let groups =
        std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", &spec.id.to_string()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&groups.stdout), "");
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(&spec.id.to_string()));
    assert_eq!(world.phase(spec.id).await, None);
    world.driver.remove(spec.id).await.unwrap();
}

#[tokio::test]
async fn files_are_the_apps_own() {
    let world = World::new();
    let said = world.say("id -u; id -gn; echo x > /app/f; stat -c %u /app/f; cd; pwd").await;
    assert_eq!(said, format!("{UID}\nwharf\n{UID}\n/app"));
}

fn processes_with(argument: &str) -> usize {
    let found = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path().join("cmdline");
        std::fs::read(path).is_ok_and(|line| String::from_utf8_lossy(&line).contains(argument))
    });
    found.count()
}

#[tokio::test]
async fn a_dyno_that_may_take_so_long_ends_by_itself() {
    let world = World::new();
    // Ignores signals, has a child in another session, and prints nothing: only the shim can end it.
    let mut spec = world.spec("trap '' TERM INT HUP; echo begun; setsid sleep 100000 & exec sleep 100000");
    spec.time = Some(Duration::from_secs(1));
    let (exit, lines) = world.run(&spec).await;
    assert_eq!((exit.code, exit.signal), (None, Some(libc::SIGKILL)));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0] == "begun" && lines[1].starts_with("Time limit exceeded: stopped after 1 sec"), "{lines:?}");

    spec.id = world.spec("").id;
    spec.command = "while :; do echo again; done".to_owned();
    let (exit, lines) = world.run(&spec).await;
    assert_eq!(exit.signal, Some(libc::SIGKILL));
    assert!(lines.iter().any(|line| line.starts_with("Time limit exceeded")));

    spec.id = world.spec("").id;
    spec.command = "echo in time".to_owned();
    spec.time = Some(Duration::from_secs(60));
    let (exit, lines) = world.run(&spec).await;
    assert_eq!((exit.code, lines), (Some(0), vec!["in time".to_owned()]));
}
