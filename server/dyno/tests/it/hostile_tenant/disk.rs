//! The disk: a tenant's data is limited, however it is written.

use dyno::{Driver, Spec, disks};

use crate::world::World;

/// A dyno with a small disk, which the machine has to support.
fn small(world: &World, program: &str) -> Spec {
    assert_eq!(disks::missing(world.data.path()), None);
    let mut spec = world.spec("/usr/bin/python3 -c \"$PROGRAM\"");
    spec.env.insert("PROGRAM".into(), program.into());
    spec.limits.disk = disks::Size { bytes: 64 << 20, files: 2000 };
    spec
}

/// The lines without and with those of the platform.
async fn run(world: &World, spec: &Spec) -> (Vec<String>, String) {
    world.start(spec).await;
    world.driver.wait(spec.id).await.unwrap();
    let (told, said): (Vec<String>, Vec<String>) =
        world.lines(spec.id).into_iter().partition(|line| line.starts_with("Disk quota exceeded"));
    (said, told.join("\n"))
}

#[tokio::test]
async fn a_disk_is_filled_up_to_its_limit_and_no_further() {
    let world = World::new();
    let spec = small(
        &world,
        r#"
import os
for place in ("/app/big", "/tmp/big"):
    written = 0
    try:
        with open(place, "wb", buffering=0) as file:
            while True: written += file.write(bytes(1 << 20))
    except OSError as e: print(place, written < 64 << 20, e.strerror)
"#,
    );
    let (said, told) = run(&world, &spec).await;
    assert_eq!(said, ["/app/big True No space left on device", "/tmp/big True No space left on device"]);
    assert!(told.contains("/app and /tmp of this dyno") && told.contains("object store"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// Loop devices may be announced but missing, as in many containers.
#[test]
fn a_machine_that_cannot_mount_disks_works_without() {
    // On a thread with its own mount namespace.
    let apart = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        let mount = |from: &str, to: &str, flags| {
            nix::mount::mount(Some(from), to, None::<&str>, flags, None::<&str>).unwrap();
        };
        mount("none", "/", nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE);
        mount("/dev/null", "/dev/loop-control", nix::mount::MsFlags::MS_BIND);
        let world = World::new();
        let why = disks::missing(world.data.path()).unwrap();
        assert!(why.contains("cannot be mounted"), "{why}");
        let left: Vec<_> = std::fs::read_dir(world.data.path().join("dynos")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let spec = world.spec("head -c 30000000 /dev/zero > /tmp/big && echo written");
        let (exit, said) = runtime.block_on(world.run(&spec));
        assert_eq!((exit.error, said), (None, vec!["written".to_owned()]));
        assert!(!world.state(spec.id).join("disk.img").exists());
    });
    apart.join().unwrap();
}

#[tokio::test]
async fn a_file_without_a_name_counts_too() {
    let world = World::new();
    let spec = small(
        &world,
        r#"
import os
held = []
try:
    while True:
        held.append(os.open("/tmp", os.O_TMPFILE | os.O_RDWR))
        os.write(held[-1], bytes(8 << 20))
except OSError as e: print(len(held) < 10, e.strerror)
"#,
    );
    let (said, _) = run(&world, &spec).await;
    assert_eq!(said, ["True No space left on device"]);
}

#[tokio::test]
async fn files_are_counted_as_well_as_bytes() {
    let world = World::new();
    let spec = small(
        &world,
        r#"
made = 0
try:
    while True:
        open(f"/app/{made}", "w").close()
        made += 1
except OSError as e: print(1000 < made < 2100, e.strerror)
"#,
    );
    let (said, told) = run(&world, &spec).await;
    assert_eq!(said, ["True No space left on device"]);
    assert!(told.contains("files left"), "{told}");
}

#[tokio::test]
async fn what_is_removed_can_be_written_again() {
    let world = World::new();
    let spec = small(
        &world,
        r#"
import os
for turn in range(5):
    with open("/tmp/big", "wb") as file: file.write(bytes(40 << 20))
    os.remove("/tmp/big")
print("five times")
"#,
    );
    let (said, _) = run(&world, &spec).await;
    assert_eq!(said, ["five times"]);
    let image = std::fs::metadata(world.state(spec.id).join("disk.img")).unwrap();
    assert!(std::os::unix::fs::MetadataExt::blocks(&image) * 512 < 60 << 20, "{image:?}");
}

#[tokio::test]
async fn what_is_in_memory_ends_at_a_limit_of_its_own() {
    let world = World::new();
    super::all_fail(
        &world,
        &[
            ("/dev/shm does not take more than 64 MB", "head -c 70000000 /dev/zero > /dev/shm/big"),
            ("/dev/shm does not take any number of files", "for i in $(seq 20000); do : > /dev/shm/$i || exit 1; done"),
            (
                "a place that is not the dyno's takes nothing",
                "for d in / /dev /run /var/lib /etc; do : > $d/x && exit 0; done; exit 1",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn shared_memory_counts_as_memory() {
    let world = World::new();
    let mut spec = world.spec("head -c 60000000 /dev/zero > /dev/shm/big; echo $?");
    spec.limits.memory_max_bytes = 32 << 20;
    let (exit, _) = world.run(&spec).await;
    assert!(exit.oom, "{exit:?}");
}
