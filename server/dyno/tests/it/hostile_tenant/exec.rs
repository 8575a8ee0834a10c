//! Commands in a running dyno (`ps:exec`): a process that enters it from outside can do no more than those inside, and
//! those inside can do nothing to it before it is one of them.

use std::{collections::BTreeMap, time::Duration};

use dyno::{Driver, Exec, FromProcess, Terminal, WindowSize};

use super::{Attempt, check, files, host, identity, prepared};
use crate::world::{UID, World, within};

const LONG: Duration = Duration::from_secs(60);

/// Runs the attempts by an exec in a dyno that is up.
async fn all_fail_in_exec(terminal: Terminal, attempts: &[Attempt]) {
    let world = World::new();
    let spec = world.spec("echo ready; sleep 1000");
    world.start_until(&spec, "ready").await;
    let (env, command) = prepared(attempts);
    let exec = Exec { name: "web.1".into(), uid: UID, command, env, memory_bytes: 512 << 20, terminal };
    let (exit, lines) = run(&world, &spec, &exec).await;
    assert_eq!(exit, Some(0), "{lines:?}");
    check(attempts, &lines);
}

/// The exit status of an exec, and the lines of its output.
async fn run(world: &World, dyno: &dyno::Spec, exec: &Exec) -> (Option<i32>, Vec<String>) {
    let mut attached = world.driver.exec(dyno.id, exec).await.unwrap();
    let mut out = Vec::new();
    let read = async {
        loop {
            match attached.output.next().await.unwrap().expect("the exit comes last") {
                FromProcess::Output(bytes) | FromProcess::Errors(bytes) => out.extend(bytes),
                FromProcess::Exited(exit) => return exit.code,
            }
        }
    };
    let code = within(LONG, read).await;
    let text = String::from_utf8_lossy(&out).into_owned();
    (code, text.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn an_exec_has_the_limits_of_its_dyno() {
    for attempts in [host::KERNEL, host::PROCESSES, identity::USERS, files::FILES, files::DEVICES] {
        all_fail_in_exec(Terminal::Pipes, attempts).await;
    }
}

#[tokio::test]
async fn a_terminal_gives_no_way_out() {
    let window = Terminal::Window(WindowSize::default());
    all_fail_in_exec(window, host::PROCESSES).await;
    let terminals: &[Attempt] = &[
        ("terminals of others are not there", "ls /dev/pts | grep -v -x -E 'ptmx|0'"),
        ("a terminal of the host cannot be opened", "exec 3<>/dev/tty0 || exec 3<>/dev/console || exec 3<>/dev/ttyS0"),
        ("the terminal is the dyno's own user's", "stat -c %u /dev/pts/0 | grep -v -x 2013340485"),
    ];
    assert_eq!(UID, 2_013_340_485);
    all_fail_in_exec(window, terminals).await;
}

#[tokio::test]
async fn a_dyno_does_nothing_to_what_enters_it() {
    let world = World::new();
    // It attacks every process that appears, while commands enter again and again.
    let program = r#"
import os
mine = {int(p) for p in os.listdir("/proc") if p.isdigit()}
print("ready", flush=True)
while True:
    for pid in {int(p) for p in os.listdir("/proc") if p.isdigit()} - mine:
        for name in ("exe", "cwd", "root", "fd/0", "fd/3", "fd/4", "fd/5"):
            try:
                link = os.readlink(f"/proc/{pid}/{name}")
            except OSError:
                continue
            # What it has become is the dyno's own, and may be looked at.
            if "shim" in link or "dyno-test" in link or "cgroup" in link or "unreachable" in link:
                print("fell", name, link, flush=True)
"#;
    let spec = world.python(program);
    world.start_until(&spec, "ready").await;
    // No descriptor of the host comes along, either.
    let command = "readlink /proc/$$/fd/* | grep -c -E 'shim|dyno-test|cgroup'".to_owned();
    let env = BTreeMap::new();
    let exec =
        Exec { name: "web.1".into(), uid: UID, command, env, memory_bytes: 512 << 20, terminal: Terminal::Pipes };
    for _ in 0..20 {
        assert_eq!(run(&world, &spec, &exec).await, (Some(1), vec!["0".to_owned()]));
    }
    assert_eq!(world.lines(spec.id), ["ready"]);
}
