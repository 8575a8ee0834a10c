//! A worker from its start to its end.

use std::fs::File;

use worker::{Error, Lines, Program, Work, Workers};

use crate::tasks::{Copy, Panic};
use crate::world::{empty_groups, folder, order, owner, processes, run, say, shell, task, until};

#[tokio::test]
async fn a_program_reads_writes_and_ends_with_a_status() {
    let order = shell("cat; echo done; echo oh >&2; exit 3");
    let output = Workers::new().unwrap().output(&order, b"words\n", 100).await.unwrap();
    assert_eq!((output.code, output.stdout.as_slice(), output.stderr.as_str()), (3, &b"words\ndone\n"[..], "oh\n"));
}

#[tokio::test]
async fn a_program_gets_just_the_environment_that_it_was_given() {
    let program = Program::new("env").env("COLOUR", "blue");
    let output = run(&order(Work::Program(program))).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "COLOUR=blue\nPATH=/usr/local/bin:/usr/bin:/bin\n");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let missing = run(&order(Work::Program(Program::new("no-such-program")))).await;
    assert!(matches!(&missing, Err(Error::Host(why)) if why.contains("run no-such-program")), "{missing:?}");
}

#[tokio::test]
async fn what_is_shown_is_the_users_own_to_write() {
    let (dir, shown) = folder();
    let mut order = shell("echo text > /here/file");
    order.shows.push(shown);
    assert_eq!(run(&order).await.unwrap().code, 0);
    assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "text\n");
    assert_eq!(owner(&dir.path().join("file")), order.user);
}

#[tokio::test]
async fn a_task_gets_its_files_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    std::fs::write(&from, "quiet words").unwrap();
    let more = vec![File::open(&from).unwrap().into(), File::create(&to).unwrap().into()];
    let lines = Lines { more, ..Lines::default() };
    let answer = Workers::new().unwrap().send(&Copy { most: 5 }, task(), lines).await.unwrap();
    assert_eq!(answer, Ok(5));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "QUIET");
}

#[tokio::test]
async fn a_mistake_in_a_task_is_an_error_of_that_task() {
    let workers = Workers::new().unwrap();
    let failed = workers.send(&Panic, task(), Lines::default()).await;
    assert!(matches!(failed, Err(Error::Silent { .. } | Error::Died { .. })), "{failed:?}");
    assert_eq!(say("echo goes on").await, "goes on");
}

#[tokio::test]
async fn who_stops_waiting_ends_it_with_all_that_it_started() {
    let mark = "734215.5";
    let order = shell(&format!("setsid sleep {mark} & sleep {mark}"));
    let worker = Workers::new().unwrap().start(&order, Lines::default()).unwrap();
    until("it runs", || processes(mark).len() >= 2).await;
    drop(worker);
    until("it is gone", || processes(mark).is_empty()).await;
}

#[tokio::test]
async fn it_ends_when_its_supervisor_is_killed() {
    let mark = "734216.5";
    let workers = Workers::new().unwrap();
    let worker = workers.start(&shell(&format!("sleep {mark}; true")), Lines::default()).unwrap();
    until("it runs", || processes(&format!("sleep\0{mark}")).len() == 1).await;
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    let supervisor = children.split_whitespace().find_map(|pid| pid.parse::<i32>().ok());
    let supervisor = supervisor.unwrap_or_else(|| parent_of(parent_of(processes(mark)[0])));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::Signal::SIGKILL).unwrap();
    let ended = worker.done().await;
    assert!(ended == Err(Error::Lost), "{ended:?}");
    until("it is gone", || processes(mark).is_empty()).await;
}

fn parent_of(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn no_groups_are_left() {
    let before = empty_groups();
    say("true").await;
    until("the groups of it are gone", || empty_groups().is_subset(&before)).await;
}
