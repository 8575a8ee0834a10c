//! The tenant's identity: users, privileges, secrets of the platform.

use dyno::Driver;

use super::Attempt;
use crate::world::{UID, World};

/// Users, privileges and keys.
pub(super) const USERS: &[Attempt] = &[
    ("root is out of reach", "su -c true root </dev/null || sudo -n true"),
    (
        "another user cannot be become",
        "/usr/bin/python3 -c 'import os; os.setuid(0)' || /usr/bin/python3 -c 'import os; os.setuid(1000)'",
    ),
    ("another group cannot be joined", "/usr/bin/python3 -c 'import os; os.setgroups([0])'"),
    (
        "a program of root's that was copied and marked is an ordinary one",
        "cp /usr/bin/id /tmp/id && chmod 6755 /tmp/id && /tmp/id -u | grep -x 0",
    ),
    ("files cannot be given away", "touch /tmp/mine && chown 0 /tmp/mine"),
    ("capabilities cannot be written on files", "cp /usr/bin/id /tmp/cap && setcap cap_sys_admin+ep /tmp/cap"),
    (
        "no capability is left to be had",
        "grep -E 'Cap(Prm|Eff|Bnd|Amb|Inh)' /proc/self/status | grep -v 0000000000000000",
    ),
    ("what is forbidden stays so for programs that follow", "grep -E 'NoNewPrivs:.*0|Seccomp:.*0' /proc/self/status"),
    ("the keys of others are not to be had", "/usr/bin/python3 -c \"$CALL\" 250 0 -3 1 || cat /proc/keys | grep ."),
    ("no key can be added", "/usr/bin/python3 -c \"$CALL\" 248 user name value 5 -3"),
    ("the server's environment is not the dyno's", "env | grep -E '^(WHARF_|RUST_|DATABASE_|PG)'"),
    ("descriptors of the platform are not inherited", "ls /proc/self/fd | grep -v -x -E '[0-3]'"),
];

#[tokio::test]
async fn a_tenant_cannot_become_another_user() {
    super::all_fail(&World::new(), USERS).await;
}

#[tokio::test]
async fn a_dyno_has_three_descriptors_and_no_more() {
    let world = World::new();
    // As a library in the server may open one, which child processes inherit.
    let secret = std::fs::File::open("/etc/hostname").unwrap();
    // SAFETY: plain system call on an open descriptor.
    assert!(unsafe { libc::dup(std::os::fd::AsRawFd::as_raw_fd(&secret)) } > 2);
    let said = world.say("exec /usr/bin/python3 -c 'import os; print(*[f for f in range(1024) if os.path.lexists(f\"/proc/self/fd/{f}\")])'").await;
    assert_eq!(said, "0 1 2");
}

#[tokio::test]
async fn files_of_a_dyno_belong_to_its_user_on_the_host() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new();
    let shared = world.slug(&[]);
    std::os::unix::fs::chown(&shared, Some(UID), Some(UID)).unwrap();
    let mut spec = world.spec("cp /usr/bin/id /tmp/shared/id; chmod 6777 /tmp/shared/id; echo done");
    spec.root.binds = vec![dyno::Bind { from: shared.clone(), to: "/tmp/shared".into(), writable: true }];
    let handle = world.start(&spec).await;
    world.driver.wait(spec.id).await.unwrap();
    assert_eq!(world.lines(handle.id), ["done"]);
    assert_eq!(std::fs::metadata(shared.join("id")).unwrap().uid(), UID);
}
