//! The host itself: its permissions, its processes, its network.

use crate::world::{USER, say};

#[tokio::test]
async fn it_has_no_rights_and_can_get_none() {
    let status = say("cat /proc/self/status").await;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    let user = [USER.to_string(), USER.to_string(), USER.to_string(), USER.to_string()].join(" ");
    assert_eq!((field("Uid"), field("Gid"), field("Groups")), (user.clone(), user, String::new()));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
}

#[tokio::test]
async fn it_cannot_make_namespaces_or_mounts() {
    let tried = "unshare -U true || unshare -m true || mount -t tmpfs x /proc || chroot / true || echo refused";
    assert_eq!(say(&format!("({tried}) 2>/dev/null")).await, "refused");
}

#[tokio::test]
async fn it_sees_and_signals_only_its_own_processes() {
    assert_eq!(say("kill -9 -1; kill -9 1; echo alive").await, "alive");
    let processes: usize = say("ls -d /proc/[0-9]* | wc -l").await.parse().unwrap();
    assert!(processes <= 4, "{processes}");
}

#[tokio::test]
async fn it_goes_before_the_platform_when_memory_runs_out() {
    assert_eq!(say("cat /proc/self/oom_score_adj").await, (dyno::Worth::Worker as i32).to_string());
    assert_eq!(say("echo -500 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj").await, "200");
}

#[tokio::test]
async fn it_has_no_network() {
    assert_eq!(say("cat /proc/net/dev | grep -c : ").await, "1");
    let python = "import socket\n\
                  for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK):\n\
                  \x20 try: socket.socket(family); print('made')\n\
                  \x20 except PermissionError: print('refused')";
    let said = say(&format!("python3 -c \"{python}\"")).await;
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["refused"; 3]);
}

#[tokio::test]
async fn its_groups_and_host_name_are_its_own() {
    let groups = say("cut -d: -f3 /proc/self/cgroup | sort -u | tr '\\n' ' '").await;
    assert!(!groups.contains("worker-"), "{groups}");
    assert_eq!(say("uname -n").await, "worker");
}
