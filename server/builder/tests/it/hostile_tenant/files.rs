//! Attempts to read the machine's files through build output.

use crate::support::host_with;

#[tokio::test]
async fn links_left_by_a_build_are_not_followed() {
    let (_dir, mut host) = host_with(
        "ln -s /etc/shadow Procfile; ln -s /etc/shadow copy; mkfifo pipe; ln -sf /etc/shadow /tmp/out/release.yml",
    );
    let built = host.build().await;
    assert_eq!(built.says("The Procfile cannot be read").why(), "failed to read the Procfile");
    let (_dir, mut host) = host_with("ln -s /etc/shadow copy; mkfifo pipe; (sleep 1000 &) ; echo done");
    let slug = host.build().await.slug();
    let files = host.unpack(&slug).await;
    assert!(files.join("copy").symlink_metadata().unwrap().is_symlink());
    assert!(!files.join("pipe").exists());
}

#[tokio::test]
async fn special_files_do_not_block() {
    for (make, said) in [
        ("mkfifo Procfile", "it is not a regular file"),
        ("mkdir Procfile", "it is not a regular file"),
        ("ln -s /dev/zero Procfile", "it is a symbolic link or reached through one"),
        ("head -c 300000 /dev/zero > Procfile", "it is larger than 256 KB"),
    ] {
        let (_dir, mut host) = host_with(make);
        let built = host.build().await;
        assert_eq!(built.says(said).why(), "failed to read the Procfile", "{make}");
    }
    let (_dir, mut host) = host_with("mkdir /tmp/out/failed; exit 1");
    assert_eq!(host.build().await.why(), "failed to compile the app");
}

#[tokio::test]
async fn an_ignore_file_that_is_a_link_or_a_pipe_is_reported() {
    let (_dir, mut host) = host_with("true");
    std::os::unix::fs::symlink("/etc/shadow", host.request.source.join(".slugignore")).unwrap();
    host.build().await.says("Ignoring .slugignore: it is a symbolic link or reached through one").slug_made();
    std::fs::remove_file(host.request.source.join(".slugignore")).unwrap();
    nix::unistd::mkfifo(&host.request.source.join(".slugignore"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    host.build().await.says("Ignoring .slugignore: it is not a regular file").slug_made();
}
