//! The view of a dyno, and the operations that it is denied.

use dyno::Bind;

use crate::world::{UID, World};

#[tokio::test]
async fn only_the_stack_is_to_be_seen() {
    let world = World::new();
    let data = world.data.path().display().to_string();
    let said = world.say(&format!("ls -A /; ls -d /root /home /opt /sys {data} 2>/dev/null; ls -A /run")).await;
    let mut seen: Vec<&str> = said.lines().collect();
    seen.retain(|name| !name.starts_with("lib") && !["bin", "sbin"].contains(name));
    assert_eq!(seen, ["app", "dev", "etc", "proc", "run", "tmp", "usr", "var"]);
}

#[tokio::test]
async fn etc_is_a_selection() {
    let world = World::new();
    let said =
        world.say("cat /etc/shadow /etc/machine-id /etc/fstab 2>&1; cat /etc/passwd; ls /etc/ssl/certs | wc -l").await;
    assert_eq!(said.matches("No such file").count(), 3, "{said}");
    assert!(said.contains(&format!("wharf:x:{UID}:{UID}::/app:/bin/bash")));
    assert_eq!(said.lines().filter(|line| line.contains(":x:")).count(), 3);
}

#[tokio::test]
async fn only_app_and_tmp_can_be_written() {
    let world = World::new();
    let said = world
        .say(
            "for d in / /usr /usr/bin /etc /var /var/lib /run /dev /proc/sys /lib/ /app /tmp /var/tmp /dev/shm; do \
             touch $d/x 2>/dev/null && echo $d; done",
        )
        .await;
    assert_eq!(said, "/app\n/tmp\n/var/tmp\n/dev/shm");
}

#[tokio::test]
async fn a_dyno_sees_its_own_processes_only() {
    let world = World::new();
    let said = world
        .say("ls /proc | grep -E '^[0-9]+$' | wc -l; kill -9 1; echo $?; cat /proc/1/environ 2>&1 | head -c 300")
        .await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].parse::<u32>().unwrap() <= 6, "{said}");
    assert_eq!(lines[1], "0");
    assert!(lines[2].contains("Permission denied"), "{said}");
}

#[tokio::test]
async fn it_has_no_rights() {
    let world = World::new();
    let said = world
        .say("grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:|Groups' /proc/self/status | tr -s '\\t ' ' '; hostname")
        .await;
    let none = "0000000000000000";
    let expected = format!(
        "Groups: \nCapInh: {none}\nCapPrm: {none}\nCapEff: {none}\nCapBnd: {none}\nCapAmb: {none}\n\
         NoNewPrivs: 1\nSeccomp: 2"
    );
    assert!(said.starts_with(&expected), "{said}");
}

#[tokio::test]
async fn dangerous_calls_are_refused() {
    let world = World::new();
    let program = r#"
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    result = libc.syscall(number, *args)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "allowed"
print("unshare", call(272, 0x10000000))
print("mount", call(165, 0, b"/tmp", 0, 0, 0))
print("clone newuser", call(56, 0x10000000 | 17, 0, 0, 0, 0))
print("clone3", call(435, 0, 0))
print("bpf", call(321, 0, 0, 0))
print("keyctl", call(250, 0, 0))
print("io_uring", call(425, 1, 0))
print("setns", call(308, -1, 0))
print("userfaultfd", call(323, 0))
print("personality", call(135, 0x0400000))
print("open_by_handle_at", call(304, -1, 0, 0))
print("io_setup", call(206, 1, 0))
print("unknown", call(999))
for family in (socket.AF_PACKET, 40, socket.AF_INET, socket.AF_UNIX):
    try:
        socket.socket(family, socket.SOCK_DGRAM).close()
        print(int(family), "allowed")
    except OSError as e:
        print(int(family), errno.errorcode[e.errno])
"#;
    let mut spec = world.spec("/usr/bin/python3 -c \"$PROGRAM\"");
    spec.env.insert("PROGRAM".into(), program.into());
    let (exit, lines) = world.run(&spec).await;
    assert_eq!(exit.code, Some(0), "{lines:?}");
    let expected = "unshare EPERM\nmount EPERM\nclone newuser EPERM\nclone3 ENOSYS\nbpf EPERM\nkeyctl EPERM\n\
        io_uring EPERM\nsetns EPERM\nuserfaultfd EPERM\npersonality EPERM\nopen_by_handle_at EPERM\n\
        io_setup ENOSYS\nunknown ENOSYS\n17 EPERM\n40 EPERM\n2 allowed\n1 allowed";
    assert_eq!(lines.join("\n"), expected);
}

#[tokio::test]
async fn setuid_programs_give_nothing() {
    let world = World::new();
    let said = world.say("su -c id root </dev/null 2>&1; mount -t tmpfs x /tmp 2>&1; unshare -U id 2>&1; true").await;
    assert!(!said.contains("uid=0"), "{said}");
    assert!(said.contains("unshare failed"), "{said}");
}

#[tokio::test]
async fn usual_programs_work() {
    let world = World::new();
    for command in [
        "! command -v node >/dev/null || node -e 'require(\"fs\").writeFileSync(\"x\", \"1\"); console.log(require(\"os\").cpus().length > 0)'; echo .",
        "! test -e /usr/bin/npm || npm --version; echo .",
        "/usr/bin/python3 -c 'import ssl, sqlite3, subprocess, threading; print(subprocess.check_output([\"date\"]))'",
        "/usr/bin/python3 -m pip --version",
        "git init -q repo && cd repo && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git log --oneline",
        "! test -e /usr/bin/cargo || /usr/bin/cargo --version; echo .",
        "echo hello > /dev/stdout",
        "cat /etc/resolv.conf && getent hosts localhost",
        "bash -c 'echo <(true); (sleep 0.1 &); wait'",
        "xz --version && perl -e 'print \"ok\\n\"' && mkfifo /tmp/f && ls -la /proc/self/fd",
    ] {
        let (exit, lines) = world.run(&world.spec(command)).await;
        assert_eq!(exit.code, Some(0), "{command}: {lines:?}");
        assert!(!lines.is_empty(), "{command}");
    }
}

#[tokio::test]
async fn binds_are_as_writable_as_asked() {
    let world = World::new();
    let (source, packs) = (world.slug(&[("file", "text")]), world.slug(&[("pack", "code")]));
    std::os::unix::fs::chown(&source, Some(UID), Some(UID)).unwrap();
    let mut spec = world.spec(
        "cat /tmp/build/file /buildpacks/a/pack /opt-file; echo; echo new > /tmp/build/new && echo built; \
         touch /buildpacks/a/x 2>/dev/null || echo refused; touch /app/deep/er/ok && echo made",
    );
    spec.root.binds = vec![
        Bind { from: source.clone(), to: "/tmp/build".into(), writable: true },
        Bind { from: packs.clone(), to: "/buildpacks/a".into(), writable: false },
        Bind { from: packs.join("pack"), to: "/opt-file".into(), writable: false },
        Bind { from: source.clone(), to: "/app/deep/er".into(), writable: true },
    ];
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["textcodecode", "built", "refused", "made"]);
    assert_eq!(std::fs::read_to_string(source.join("new")).unwrap(), "new\n");
}

#[tokio::test]
async fn a_link_in_the_slug_does_not_lead_a_bind_out() {
    let world = World::new();
    let slug = world.slug(&[]);
    let outside = world.slug(&[]);
    std::os::unix::fs::symlink(&outside, slug.join("link")).unwrap();
    let mut spec = world.spec("true");
    spec.root.artifact = dyno::Artifact::Slug(slug.clone());
    spec.root.binds = vec![Bind { from: slug, to: "/app/link/inner".into(), writable: false }];
    world.run(&spec).await;
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
}
