//! Attached processes: terminals and pipes, and further processes in a running dyno.

use std::time::Duration;

use dyno::{
    AttachedOutput, Attachment, Driver, Exec, Exit, FromProcess, Host, ProcessDriver, Spec, Terminal, WindowSize,
};

use crate::world::{UID, World, within};

const LONG: Duration = Duration::from_secs(60);

fn window(columns: u16, rows: u16) -> Option<Terminal> {
    Some(Terminal::Window(WindowSize { columns, rows }))
}

async fn attach(world: &World, spec: &Spec) -> Attachment {
    world.start(spec).await;
    let mut attached = None;
    for _ in 0..1000 {
        attached = world.driver.attach(spec.id).await.unwrap();
        if attached.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    attached.expect("it can be attached to")
}

/// Reads until the output contains `text`.
async fn read_until(attachment: &mut Attachment, text: &str) -> String {
    let mut all = String::new();
    let read = async {
        while !all.contains(text) {
            match attachment.output.next().await.unwrap() {
                Some(FromProcess::Output(bytes) | FromProcess::Errors(bytes)) => {
                    all.push_str(&String::from_utf8_lossy(&bytes));
                }
                other => panic!("{other:?} after {all:?}"),
            }
        }
    };
    within(LONG, read).await;
    all
}

/// Reads to the end: stdout, stderr and the exit.
async fn read_out(attachment: &mut Attachment) -> (String, String, Exit) {
    read_all(&mut attachment.output).await
}

async fn read_all(output: &mut AttachedOutput) -> (String, String, Exit) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let read = async {
        loop {
            match output.next().await.unwrap().expect("the exit comes last") {
                FromProcess::Output(bytes) => out.extend(bytes),
                FromProcess::Errors(bytes) => errors.extend(bytes),
                FromProcess::Exited(exit) => return exit,
            }
        }
    };
    let exit = within(LONG, read).await;
    (String::from_utf8(out).unwrap(), String::from_utf8(errors).unwrap(), exit)
}

#[tokio::test]
async fn a_terminal_has_a_name_a_size_and_an_owner() {
    let world = World::new();
    let mut spec = world.spec("tty; stty size; stat -c %u $(tty); exit 7");
    spec.terminal = window(100, 30);
    let mut attached = attach(&world, &spec).await;
    let (out, _, exit) = read_out(&mut attached).await;
    assert_eq!(out, format!("/dev/pts/0\r\n30 100\r\n{UID}\r\n"));
    assert_eq!(exit.code, Some(7));
    // The driver has the same, and nothing of it is spooled.
    assert_eq!(world.driver.wait(spec.id).await.unwrap().code, Some(7));
    assert!(world.output(spec.id).is_empty());
}

#[tokio::test]
async fn input_window_size_and_interrupts_reach_the_process() {
    let world = World::new();
    // The shell itself prints the size: while `stty` ends, an interrupt would end neither it nor the shell.
    let mut spec = world
        .spec("read line; echo \"got $line\"; read next; size=$(stty size); echo \"$size\"; sleep 1000; echo never");
    spec.terminal = window(80, 24);
    let mut attached = attach(&world, &spec).await;
    attached.input.write(b"hello\n").await.unwrap();
    read_until(&mut attached, "got hello").await;
    attached.input.resize(WindowSize { columns: 132, rows: 43 }).await.unwrap();
    attached.input.write(b"\n").await.unwrap();
    read_until(&mut attached, "43 132").await;
    // Ctrl-C ends the sleep, and with it a shell that is not interactive.
    attached.input.write(&[3]).await.unwrap();
    let (out, _, exit) = read_out(&mut attached).await;
    assert!(exit.code == Some(130) || exit.signal == Some(libc::SIGINT), "{exit:?}");
    assert!(!out.contains("never"), "{out:?}");
}

#[tokio::test]
async fn pipes_keep_bytes_and_streams_apart_and_have_an_end() {
    let world = World::new();
    let mut spec = world.spec("cat; echo error >&2");
    spec.terminal = Some(Terminal::Pipes);
    let Attachment { mut input, mut output } = attach(&world, &spec).await;
    let bytes = "line\n".repeat(100_000);
    let writes = async {
        input.write(bytes.as_bytes()).await.unwrap();
        input.end().await.unwrap();
    };
    let ((), (out, errors, exit)) = tokio::join!(writes, read_all(&mut output));
    assert!(out == bytes, "{} of {} bytes", out.len(), bytes.len());
    assert_eq!((errors.as_str(), exit.code), ("error\n", Some(0)));
}

#[tokio::test]
async fn a_process_whose_client_is_gone_is_hung_up() {
    let world = World::new();
    for terminal in [window(80, 24), Some(Terminal::Pipes)] {
        let mut spec = world.spec("trap 'exit 9' HUP; echo ready; while :; do sleep 0.1; done");
        spec.terminal = terminal;
        let mut attached = attach(&world, &spec).await;
        read_until(&mut attached, "ready").await;
        drop(attached);
        let exit = within(LONG, world.driver.wait(spec.id)).await.unwrap();
        assert_eq!(exit.code, Some(9), "{terminal:?}");
    }
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let world = World::new();
    for terminal in [window(80, 24), Some(Terminal::Pipes)] {
        // It ignores SIGHUP, and never stops printing.
        let mut spec = world.spec("trap '' HUP; (while :; do echo x; done) & exit 3");
        spec.terminal = terminal;
        let mut attached = attach(&world, &spec).await;
        let (.., exit) = read_out(&mut attached).await;
        assert_eq!(exit.code, Some(3), "{terminal:?}");
        within(LONG, world.driver.wait(spec.id)).await.unwrap();
    }
}

#[tokio::test]
async fn an_attached_process_can_be_attached_to_once_also_by_another_driver() {
    let world = World::new();
    let mut spec = world.spec("echo ready; read line; echo \"end $line\"");
    spec.terminal = window(80, 24);
    world.start(&spec).await;
    // As after a restart of the server.
    let other = ProcessDriver::new(world.data.path(), &Host::default()).unwrap();
    let mut attached = other.attach(spec.id).await.unwrap().expect("it waits for its client");
    read_until(&mut attached, "ready").await;
    assert!(world.driver.attach(spec.id).await.unwrap().is_none());
    attached.input.write(b"x\n").await.unwrap();
    let (_, _, exit) = read_out(&mut attached).await;
    assert_eq!(exit.code, Some(0));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_the_process_and_nothing_else() {
    let world = World::new();
    let mut spec = world.spec("yes; echo never");
    spec.terminal = Some(Terminal::Pipes);
    let attached = attach(&world, &spec).await;
    let used = || async { world.driver.stats(spec.id).await.unwrap().unwrap().cpu_ns };
    // It stops printing, and using the processor, when the buffers are full.
    let mut before = used().await;
    within(LONG, async {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = used().await;
            if now - before < 3_000_000 {
                break;
            }
            before = now;
        }
    })
    .await;
    drop(attached);
    within(LONG, world.driver.wait(spec.id)).await.unwrap();
}

fn exec(command: &str, terminal: Option<Terminal>) -> Exec {
    Exec {
        name: "web.1".into(),
        uid: UID,
        command: command.into(),
        env: [("GREETING".to_owned(), "hello".to_owned())].into(),
        memory_bytes: 512 << 20,
        terminal: terminal.unwrap_or(Terminal::Pipes),
    }
}

#[tokio::test]
async fn an_exec_runs_inside_the_dyno_with_its_rights() {
    let world = World::new();
    let mut spec = world.spec("echo mark > /tmp/mark; echo ready; sleep 1000");
    spec.env.insert("GREETING".into(), "other".into());
    world.start_until(&spec, "ready").await;
    let command = "cat /tmp/mark; echo $GREETING $DYNO; id -u; hostname; cat /proc/1/comm >/dev/null && echo proc; \
                   unshare -m true 2>/dev/null || echo confined; grep -c . /proc/self/cgroup >/dev/null; exit 5";
    let mut attached = world.driver.exec(spec.id, &exec(command, None)).await.unwrap();
    let (out, errors, exit) = read_out(&mut attached).await;
    let expected = format!("mark\nhello web.1\n{UID}\n{}\nproc\nconfined\n", spec.id);
    assert_eq!((out, exit.code), (expected, Some(5)), "{errors}");
    // It counts towards the dyno's limits, and the dyno goes on.
    let pids = async || world.driver.stats(spec.id).await.unwrap().unwrap().pids;
    let before = pids().await;
    let mut attached = world.driver.exec(spec.id, &exec("echo started; sleep 1000", window(80, 24))).await.unwrap();
    read_until(&mut attached, "started").await;
    assert!(pids().await > before, "{before} processes before");
    drop(attached);
    within(LONG, async {
        while pids().await > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_exec_ends_with_the_dyno_and_needs_a_running_one() {
    let world = World::new();
    let spec = world.spec("echo ready; sleep 1000");
    world.start_until(&spec, "ready").await;
    let mut attached = world.driver.exec(spec.id, &exec("echo in; sleep 1000", window(80, 24))).await.unwrap();
    read_until(&mut attached, "in").await;
    world.driver.signal(spec.id, libc::SIGKILL).await.unwrap();
    let (.., exit) = read_out(&mut attached).await;
    assert_eq!(exit.signal, Some(libc::SIGKILL));
    world.driver.wait(spec.id).await.unwrap();
    assert!(world.driver.exec(spec.id, &exec("true", None)).await.is_err());
}

#[tokio::test]
async fn an_exec_does_not_exceed_the_limit_on_processes() {
    let world = World::new();
    let mut spec = world.spec("sleep 1000 & sleep 1000 & echo ready; wait");
    spec.limits.pids = 3;
    world.start_until(&spec, "ready").await;
    let mut attached = world.driver.exec(spec.id, &exec("echo never", None)).await.unwrap();
    let (out, _, exit) = read_out(&mut attached).await;
    assert_eq!(out, "");
    assert!(exit.error.as_deref().is_some_and(|why| why.contains("as many processes")), "{exit:?}");
}
