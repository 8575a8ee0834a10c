//! Files that a tenant uploads or leaves behind: links in places where the platform creates or mounts something.

use std::fs;
use std::os::unix::fs::symlink;

use dyno::{Artifact, Bind, Exit};

use crate::world::{UID, World};

async fn run_on(world: &World, slug: std::path::PathBuf, command: &str) -> (Exit, Vec<String>) {
    let mut spec = world.spec(command);
    spec.root.artifact = Artifact::Slug(slug);
    world.run(&spec).await
}

#[tokio::test]
async fn a_slug_that_is_a_link_is_not_mounted() {
    let world = World::new();
    let others = world.slug(&[("secret", "of another tenant")]);
    let link = world.data.path().join("slug-link");
    symlink(&others, &link).unwrap();
    let (exit, lines) = run_on(&world, link, "cat /app/secret").await;
    assert!(exit.error.as_deref().is_some_and(|error| error.contains("symbolic link")), "{exit:?}");
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn a_slug_whose_parent_is_a_link_is_not_mounted() {
    let world = World::new();
    let others = world.slug(&[("inner/secret", "of another tenant")]);
    let link = world.data.path().join("parent-link");
    symlink(&others, &link).unwrap();
    let (exit, lines) = run_on(&world, link.join("inner"), "cat /app/secret").await;
    assert!(exit.error.as_deref().is_some_and(|error| error.contains("symbolic link")), "{exit:?}");
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn a_slug_that_is_a_file_or_a_way_back_is_not_mounted() {
    let world = World::new();
    let slug = world.slug(&[("file", "x")]);
    let (exit, _) = run_on(&world, slug.join("file"), "true").await;
    assert!(exit.error.is_some(), "{exit:?}");
    let (exit, _) = run_on(&world, slug.join("../dynos"), "true").await;
    assert!(exit.error.is_some(), "{exit:?}");
}

#[tokio::test]
async fn a_bind_from_a_link_is_not_mounted() {
    let world = World::new();
    let others = world.slug(&[("secret", "of another tenant")]);
    let cache = world.slug(&[]);
    symlink(&others, cache.join("cache")).unwrap();
    for from in [cache.join("cache"), cache.join("cache/secret")] {
        let mut spec = world.spec("cat /tmp/cache /tmp/cache/secret");
        spec.root.binds = vec![Bind { from, to: "/tmp/cache".into(), writable: true }];
        let (exit, lines) = world.run(&spec).await;
        assert!(exit.error.as_deref().is_some_and(|error| error.contains("symbolic link")), "{exit:?}");
        assert!(lines.is_empty(), "{lines:?}");
    }
}

#[tokio::test]
async fn a_bind_onto_a_link_of_the_slug_is_not_made() {
    let world = World::new();
    let source = world.slug(&[("file", "x")]);
    for (link, target) in [("link", "/etc"), ("link", "/proc/1"), ("link", "../usr"), ("link", "real")] {
        let slug = world.slug(&[("real/file", "y")]);
        symlink(target, slug.join(link)).unwrap();
        for to in ["/app/link", "/app/link/inner"] {
            let mut spec = world.spec("true");
            spec.root.artifact = Artifact::Slug(slug.clone());
            spec.root.binds = vec![Bind { from: source.clone(), to: to.into(), writable: false }];
            let (exit, _) = world.run(&spec).await;
            assert!(exit.error.as_deref().is_some_and(|error| error.contains("symbolic link")), "{target}: {exit:?}");
        }
    }
}

#[tokio::test]
async fn a_slug_with_directories_of_the_system_changes_nothing_outside_of_app() {
    let world = World::new();
    let slug = world.slug(&[("etc/passwd", "evil"), ("etc/resolv.conf", "evil"), ("proc/x", ""), ("dev/null", "")]);
    for (link, target) in [("tmp", "/etc"), ("app", "/"), (".profile.d", "/proc/self/fd"), ("usr", "../../usr")] {
        symlink(target, slug.join(link)).unwrap();
    }
    let (exit, lines) =
        run_on(&world, slug.clone(), "grep -c evil /etc/passwd /etc/resolv.conf; pwd; ls -A /tmp").await;
    assert_eq!(exit.error, None);
    assert_eq!(lines, ["/etc/passwd:0", "/etc/resolv.conf:0", "/app"]);
    assert_eq!(fs::read_dir(slug).unwrap().count(), 7);
}

#[tokio::test]
async fn a_dyno_does_not_see_files_of_the_previous_one() {
    let world = World::new();
    let slug = world.slug(&[("file", "as it was")]);
    let leave = "rm -rf /tmp/* file; ln -s /etc /app/etc; ln -s /etc/passwd file; ln -s / /tmp/build; ls -l";
    let (exit, lines) = run_on(&world, slug.clone(), leave).await;
    assert_eq!(exit.code, Some(0), "{lines:?}");
    let (_, lines) = run_on(&world, slug.clone(), "cat file; echo; ls -A /app /tmp").await;
    assert_eq!(lines, ["as it was", "/app:", "file", "", "/tmp:"]);
    assert_eq!(fs::read_to_string(slug.join("file")).unwrap(), "as it was");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(slug.join("file")).unwrap()), UID);
}

#[tokio::test]
async fn directories_nested_deep_do_not_keep_a_dyno_from_going() {
    let world = World::new();
    let program = "import os\nfor n in range(15000):\n os.mkdir('d'); os.chdir('d')\nprint('deep')";
    let mut spec = world.spec("cd /tmp && /usr/bin/python3 -c \"$PROGRAM\"");
    spec.env.insert("PROGRAM".into(), program.into());
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["deep"]);
    dyno::Driver::remove(&world.driver, spec.id).await.unwrap();
    assert!(!world.state(spec.id).exists());
}
