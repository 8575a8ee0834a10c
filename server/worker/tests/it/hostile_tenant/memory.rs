//! Memory, time, processes and disk of the host.

use std::time::Duration;

use worker::{Error, Lines, Workers};

use crate::tasks::Eat;
use crate::world::{folder, run, say, shell, task};

#[tokio::test]
async fn memory_without_end_is_one_tasks_error() {
    let mut order = task();
    order.limits.memory_bytes = 64 << 20;
    let eaten = Workers::new().unwrap().send(&Eat, order, Lines::default()).await;
    assert_eq!(eaten, Err(Error::TooMuchMemory { bytes: 64 << 20 }));
    assert_eq!(say("echo goes on").await, "goes on");
}

#[tokio::test]
async fn memory_of_a_child_is_reported_too() {
    let mut order = shell("dd if=/dev/zero of=/dev/null bs=200M count=1; exit 0");
    order.limits.memory_bytes = 64 << 20;
    assert_eq!(run(&order).await, Err(Error::TooMuchMemory { bytes: 64 << 20 }));
}

#[tokio::test]
async fn an_endless_wait_is_ended() {
    let mut order = shell("trap '' TERM; while :; do sleep 1000; done");
    order.limits.time = Duration::from_millis(300);
    assert_eq!(run(&order).await, Err(Error::TooLong { limit: Duration::from_millis(300) }));
}

#[tokio::test]
async fn an_endless_loop_is_ended() {
    let mut order = shell("while :; do :; done");
    order.limits.cpu = Duration::from_secs(1);
    assert_eq!(run(&order).await, Err(Error::TooLong { limit: Duration::from_secs(1) }));
}

#[tokio::test]
async fn a_file_without_end_is_cut_off() {
    let (dir, shown) = folder();
    let mut order = shell("exec cat /dev/zero > /here/file");
    order.shows.push(shown);
    order.limits.file_bytes = 1 << 20;
    assert_eq!(run(&order).await, Err(Error::TooLarge { bytes: 1 << 20 }));
    assert_eq!(std::fs::metadata(dir.path().join("file")).unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn words_without_end_are_cut_off() {
    let endless = shell("while :; do echo words; done");
    assert_eq!(run(&endless).await, Err(Error::TooLarge { bytes: 1 << 20 }));
    let complaining = shell("head -c 10000000 /dev/zero >&2; echo well");
    let output = run(&complaining).await.unwrap();
    assert_eq!(output.stdout, b"well\n");
    assert!(output.stderr.len() < 100_000);
}

#[tokio::test]
async fn processes_without_end_are_refused() {
    let mut order = shell("n=0; while sleep 1000 & do n=$((n+1)); [ $n -lt 1000 ] || exit 7; done 2>/dev/null; exit 9");
    order.limits.processes = 8;
    order.limits.time = Duration::from_secs(20);
    let ended = run(&order).await;
    assert!(ended.as_ref().is_ok_and(|output| output.code != 7), "{ended:?}");
}

#[tokio::test]
async fn its_own_root_cannot_be_filled() {
    let said =
        say("for place in / /etc /dev /tmp /run; do touch $place/x 2>/dev/null && echo $place; done; echo end").await;
    assert_eq!(said, "end");
}
