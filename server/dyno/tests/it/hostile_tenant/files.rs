//! Files of the host, of the platform, and of other tenants.

use super::Attempt;
use crate::world::World;

/// Files of the host.
pub(super) const FILES: &[Attempt] = &[
    ("the host's passwords cannot be read", "cat /etc/shadow"),
    ("the host's users are not told", "grep -v -E '^(root|wharf|nobody):' /etc/passwd"),
    ("the host's keys for ssh cannot be read", "ls /etc/ssh /root/.ssh"),
    ("the homes of people do not exist", "ls /home /root"),
    ("the platform's data is not there", "ls /var/lib/wharf"),
    ("the sockets of the host are not there", "ls -A /run | grep ."),
    ("the host's temporary files are not those of the dyno", "ls -A /tmp | grep ."),
    ("nothing is left of the root that was changed from", "ls -d /../dynos /old* /.pivot* /put_old"),
    ("a parent above the root leads nowhere", "cd / && ls ../../../../work ../../../../root"),
    ("the directory of init is the dyno's root, or nobody's", "ls /proc/1/root/ /proc/1/cwd/"),
    (
        "the names of mounts do not tell where the host keeps things",
        "grep -E '/dynos/|/unpacked/' /proc/self/mountinfo /proc/mounts",
    ),
    ("a file handle does not open what has no name here", "/usr/bin/python3 -c \"$CALL\" 304 3 0 0"),
    ("what is read-only stays so", "mount -o remount,rw / || mount -o remount,rw /usr || touch /usr/x"),
    ("the stack's programs cannot be replaced", "mv /usr/bin/env /usr/bin/env2 || rm -f /usr/bin/env"),
    ("/etc is not the dyno's to write", "echo x >> /etc/hosts || echo x >> /etc/resolv.conf || rm -f /etc/passwd"),
];

#[tokio::test]
async fn no_file_of_the_host_is_to_be_had() {
    super::all_fail(&World::new(), FILES).await;
}

/// Devices of the host.
pub(super) const DEVICES: &[Attempt] = &[
    ("a block device cannot be made", "mknod /tmp/disk b 254 0 || mknod /dev/shm/disk b 254 0"),
    ("a character device cannot be made", "mknod /tmp/mem c 1 1 || mknod /app/kmsg c 1 11"),
    ("loop devices are not there", "ls /dev/loop0 /dev/loop-control"),
    ("the machine's memory is not there", "ls /dev/mem /dev/kmem /dev/port"),
    (
        "no devices but the harmless ones exist",
        "ls /dev | grep -v -x -E 'fd|full|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero'",
    ),
    ("nothing can be mounted", "mount -t tmpfs x /tmp || mount --bind /usr /tmp || mount -t proc x /tmp"),
    ("nothing can be unmounted", "umount /tmp || umount -l /proc/sys"),
    (
        "the new calls for mounting are closed as well",
        "/usr/bin/python3 -c \"$CALL\" 430 tmpfs 0 || /usr/bin/python3 -c \"$CALL\" 428 -100 /usr 1",
    ),
    ("no file system of its own can be made with fuse", "ls /dev/fuse"),
];

#[tokio::test]
async fn no_device_leads_to_the_hosts_disks() {
    super::all_fail(&World::new(), DEVICES).await;
}
