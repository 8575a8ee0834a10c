//! What may be deployed, and where its branch is moved.

use crate::world::{NONE, World};

#[tokio::test]
async fn an_annotated_tag_is_the_commit_that_it_names() {
    let world = World::new();
    let commit = world.commit("First");
    world.git(&["tag", "-a", "v1", "-m", "Version 1"]);
    world.git(&["tag", "-a", "v1-again", "-m", "A tag of a tag", "v1"]);
    world.write("file", "text");
    let second = world.commit("Second");
    world.git(&["tag", "-a", "folder", "-m", "A tag of a folder", "HEAD^{tree}"]);
    world.store().await;
    for tag in ["v1", "v1-again"] {
        let pushed = world.inspect(NONE, &world.git(&["rev-parse", tag])).await.unwrap();
        assert_eq!((&pushed.commit, pushed.subject.as_str(), pushed.is_deployed), (&commit, "First", false));
    }
    for other in ["folder", "HEAD^{tree}", "HEAD:file"] {
        assert_eq!(world.inspect(NONE, &world.git(&["rev-parse", other])).await.err(), Some("not a commit"));
    }
    world.move_main(NONE, &commit).await.unwrap();
    assert!(world.inspect(&commit, &world.git(&["rev-parse", "v1"])).await.unwrap().is_deployed);
    assert!(!world.inspect(&commit, &second).await.unwrap().is_deployed);
}

#[tokio::test]
async fn a_push_is_stale_unless_it_goes_on_from_where_the_branch_is() {
    let world = World::new();
    let base = world.commit("Base");
    let first = world.commit("First");
    let next = world.commit("Next");
    world.git(&["checkout", "-q", "-b", "other", &base]);
    let other = world.commit("Other");
    world.store().await;
    let is_stale = async |old: &str, new: &str| {
        world.repositories.is_stale(world.app, crate::world::MAIN, (old, new)).await.unwrap()
    };
    world.move_main(NONE, &base).await.unwrap();
    // Rewritten history is as fine as new one, as long as the client has seen the branch.
    assert!(!is_stale(&base, &first).await && !is_stale(&base, &other).await);
    world.move_main(&base, &first).await.unwrap();
    assert!(is_stale(&base, &other).await && !is_stale(&base, &next).await && !is_stale(&base, &first).await);
    assert_eq!(world.inspect(&base, &other).await.err(), Some("stale: the branch has moved"));
    assert_eq!(world.inspect(&base, &next).await.unwrap().commit, next);
    assert!(world.repositories.contains(world.app, &next, &first).await.unwrap());
    assert!(!world.repositories.contains(world.app, &first, &other).await.unwrap());

    assert!(world.move_main(&base, &other).await.is_err());
    assert_eq!(world.tip().await, Some(first));
    for _ in 0..2 {
        world.move_main(&base, &next).await.unwrap();
        assert_eq!(world.tip().await, Some(next.clone()));
    }
}
