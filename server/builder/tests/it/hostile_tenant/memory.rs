//! Attempts to exhaust the server's stack, memory and disk through build output.

use crate::support::host_with;

/// Creates `$2` nested directories: more than recursion can handle or a path can express.
const NEST: &str = "nest() { (cd $1 && perl -e 'for (1..$ARGV[0]) { mkdir \"d\"; chdir \"d\" or die }' $2) }";

#[tokio::test]
async fn a_nest_of_directories_fails_the_build_that_made_it() {
    let (_dir, mut host) = host_with(&format!("{NEST}; nest . 15000"));
    assert_eq!(host.build().await.why(), "there are more than 200 nested directories");
}

#[tokio::test]
async fn a_nest_of_directories_elsewhere_is_removed() {
    let (_dir, mut host) = host_with(&format!("{NEST}; for place in $2 /tmp /tmp/out; do nest $place 2000; done"));
    host.build().await.slug_made();
    trees::remove(&host.request.cache).unwrap();
    assert!(!host.request.cache.exists());
}

#[tokio::test]
async fn files_with_holes_do_not_become_slugs() {
    let (_dir, mut host) = host_with("truncate -s 1T holes");
    assert_eq!(host.build().await.why(), "the app's files are larger than 8192 MB");
    let (_dir, mut host) = host_with("truncate -s 1200M holes");
    assert_eq!(host.build().await.why(), "the app's files are larger than 1024 MB");
}
