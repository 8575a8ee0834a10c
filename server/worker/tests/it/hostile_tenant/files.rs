//! Files of the host that are not mounted in the worker.

use std::os::unix::fs::symlink;

use worker::{Error, Shown};

use crate::world::{folder, run, say, shell};

#[tokio::test]
async fn of_the_host_it_sees_programs_only() {
    let seen = say("ls /").await;
    let own = ["bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "usr"];
    let strange: Vec<&str> = seen.split_whitespace().filter(|name| !own.contains(name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert_eq!(say("cat /etc/shadow /var/lib/wharf/master.key 2>/dev/null | wc -c").await, "0");
}

#[tokio::test]
async fn what_is_shown_for_reading_cannot_be_written() {
    let (dir, shown) = folder();
    std::fs::write(dir.path().join("file"), "as it was").unwrap();
    let mut order = shell("rm -f /here/file; echo x > /here/other; mount -o remount,rw /here; exit 0");
    order.shows.push(Shown { writable: false, ..shown });
    run(&order).await.unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "as it was");
    assert!(!dir.path().join("other").exists());
}

#[tokio::test]
async fn a_link_on_the_way_leads_nowhere() {
    let (dir, _) = folder();
    let secret = dir.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    symlink(&secret, dir.path().join("link")).unwrap();
    for way in ["link", "link/.", "link/../secret"] {
        let mut order = shell("ls /here");
        order.shows.push(Shown::read(dir.path().canonicalize().unwrap().join(way), "/here"));
        let refused = run(&order).await;
        assert!(matches!(&refused, Err(Error::Host(why)) if why.contains("Could not open ")), "{way}: {refused:?}");
    }
}

#[tokio::test]
async fn open_files_of_the_server_are_not_its() {
    // The fourth is the directory that is listed.
    assert_eq!(say("ls /proc/self/fd | tr '\\n' ' '").await, "0 1 2 3");
}
