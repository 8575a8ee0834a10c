//! The host's kernel: its settings, its processes, its log, its clock.

use super::Attempt;
use crate::world::World;

/// The kernel's settings and dangerous system calls.
pub(super) const KERNEL: &[Attempt] = &[
    ("/sys does not exist", "ls /sys/kernel"),
    ("crashes do not start programs on the host", "echo '|/tmp/x' > /proc/sys/kernel/core_pattern"),
    ("modules are not loaded by a program of the tenant", "echo /tmp/x > /proc/sys/kernel/modprobe"),
    ("no setting of the kernel can be written", "echo 1 > /proc/sys/vm/drop_caches || echo 1 > /proc/sys/kernel/sysrq"),
    ("the machine cannot be crashed or rebooted", "echo b > /proc/sysrq-trigger"),
    ("reboot is refused", "/usr/bin/python3 -c \"$CALL\" 169 4276215469 672274793 0"),
    ("the kernel's log is not to be read", "dmesg || cat /proc/kmsg | grep . || cat /dev/kmsg"),
    ("addresses inside the kernel are not told", "grep -v '^0000000000000000' /proc/kallsyms"),
    ("the kernel's memory cannot be read", "head -c 1 /proc/kcore | grep -q ."),
    ("programs for the kernel are refused", "/usr/bin/python3 -c \"$CALL\" 321 0 0 0"),
    ("io_uring is refused", "/usr/bin/python3 -c \"$CALL\" 425 1 /tmp"),
    ("the kernel does not wait for a tenant's page faults", "/usr/bin/python3 -c \"$CALL\" 323 1"),
    ("the machine's counters are closed", "/usr/bin/python3 -c \"$CALL\" 298 /tmp 0 -1 -1 0"),
    ("modules cannot be loaded", "/usr/bin/python3 -c \"$CALL\" 313 0 /tmp 0"),
    ("another kernel cannot be started", "/usr/bin/python3 -c \"$CALL\" 246 0 0 0 0"),
    ("the clock cannot be set", "date -s '2001-01-01' || /usr/bin/python3 -c 'import time; time.clock_settime(0, 1)'"),
    ("the name of the host cannot be changed", "hostname evil || /usr/bin/python3 -c \"$CALL\" 170 evil 4"),
    ("another personality is refused", "/usr/bin/python3 -c \"$CALL\" 135 4194304"),
];

#[tokio::test]
async fn the_kernels_settings_are_out_of_reach() {
    super::all_fail(&World::new(), KERNEL).await;
}

/// Processes of the host, and their groups.
pub(super) const PROCESSES: &[Attempt] = &[
    ("no process but the dyno's own is listed", "ps -e -o user= 2>/dev/null | grep -v -x -E '(wharf|[0-9]+) *'"),
    ("init keeps its memory to itself", "cat /proc/1/environ || cat /proc/1/maps | grep ."),
    ("init's descriptors are closed", "ls -l /proc/1/fd/ | grep -- '->'"),
    ("init cannot be debugged", "/usr/bin/python3 -c \"$CALL\" 101 16 1 0 0"),
    ("init's memory cannot be written", "/usr/bin/python3 -c 'open(\"/proc/1/mem\", \"r+b\")'"),
    (
        "no number leads to a process of the host",
        "/usr/bin/python3 -c 'import os\nfor pid in range(1000, 32768):\n  try: os.kill(pid, 0)\n  except OSError: continue\n  exit(0)\nexit(1)'",
    ),
    ("namespaces of others cannot be entered", "nsenter -t 1 -m true || /usr/bin/python3 -c \"$CALL\" 308 0 0"),
    ("a namespace of users cannot be made", "unshare -U true || unshare -r true"),
    ("no namespace can be made with clone", "/usr/bin/python3 -c \"$CALL\" 56 268435473 0 0 0 0"),
    ("clone3, whose flags cannot be looked at, does not exist", "/usr/bin/python3 -c \"$CALL\" 435 0 64"),
    ("the call for files of other processes is refused", "/usr/bin/python3 -c \"$CALL\" 438 3 0 0"),
    ("groups of control are not there", "ls /sys/fs/cgroup/memory || mount -t cgroup2 x /tmp"),
    ("the dyno's group looks like the top", "grep -E 'wharf|[0-9a-f]{8}-' /proc/self/cgroup"),
    ("a process cannot hide from the killer for want of memory", "echo -1000 > /proc/self/oom_score_adj"),
    (
        "no process can be made more important than others",
        "nice -n -5 true 2>&1 | grep -q . && exit 1; renice -n -5 $$",
    ),
    ("real-time scheduling is refused", "chrt -f 1 true"),
];

#[tokio::test]
async fn processes_of_the_host_are_neither_seen_nor_touched() {
    super::all_fail(&World::new(), PROCESSES).await;
}

#[tokio::test]
async fn the_old_ways_into_the_kernel_are_closed() {
    let world = World::new();
    // `int 0x80` is the entry for 32-bit programs, with different system call numbers.
    let program = r#"
import ctypes, mmap, os, signal
def run(code):
    pid = os.fork()
    if pid == 0:
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
        os._exit(0)
    return os.waitpid(pid, 0)[1]
print("nothing", run(b"\xc3"))
print("32 bits", run(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3") == signal.SIGSYS)
libc = ctypes.CDLL(None, use_errno=True)
print("x32", libc.syscall(0x40000000 | 39) < 0)
"#;
    let mut spec = world.spec("/usr/bin/python3 -c \"$PROGRAM\"");
    spec.env.insert("PROGRAM".into(), program.into());
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["nothing 0", "32 bits True", "x32 True"]);
}
