//! The disk: a build's data is limited, wherever it is written.

use dyno::disks::Size;

use crate::support::host_with;

#[tokio::test]
async fn a_build_fills_its_own_disks_and_no_other() {
    for (place, name) in [("$1", "The source and build output"), ("$2", "The build cache")] {
        let (_dir, mut host) = host_with(&format!("head -c 200000000 /dev/zero > {place}/big || exit 1"));
        host.config.limits.disk = Size { bytes: 64 << 20, files: 2000 };
        let built = host.build().await;
        built.says("No space left on device").says(&format!(" !     Disk full: {name} used up "));
        assert_eq!(built.why(), "failed to compile Odd app");
    }
    let (_dir, mut host) = host_with("head -c 200000000 /dev/zero > /tmp/big || exit 1");
    host.config.limits.disk = Size { bytes: 64 << 20, files: 2000 };
    host.build().await.says(" !     Disk quota exceeded: /app and /tmp of this dyno");
}

#[tokio::test]
async fn a_build_of_too_many_files_ends() {
    let (_dir, mut host) = host_with("cd $1; for i in $(seq 5000); do : > $i || exit 1; done");
    host.config.limits.disk = Size { bytes: 64 << 20, files: 2000 };
    host.build().await.says("No space left on device").says("The source and build output");
}

#[tokio::test]
async fn a_cache_outlives_builds_and_is_recreated_when_its_size_changes() {
    let (_dir, mut host) =
        host_with("cat $2/seen 2>/dev/null || echo never seen; echo seen > $2/seen; echo web: x > $1/Procfile");
    host.config.limits.disk = Size { bytes: 64 << 20, files: 2000 };
    host.build().await.says("never seen").slug_made();
    let again = host.build().await;
    assert!(!again.output.contains("never seen"), "{}", again.output);
    host.config.limits.disk = Size { bytes: 65 << 20, files: 2000 };
    host.build().await.says("never seen");
}
