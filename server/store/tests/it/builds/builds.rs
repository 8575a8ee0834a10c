//! Builds: every query.

use api::{
    builds::BuildStatus,
    ids::{AppId, BuildId},
};
use store::builds::*;

use crate::world::{World, all, at};

impl World {
    pub async fn build(&self, app: AppId, now: i64) -> BuildId {
        let new = New {
            id: BuildId::now_v7(),
            app,
            account: self.account.id,
            stack: "heroku-24".into(),
            buildpacks: vec!["heroku/go".into()],
            source_url: Some("https://example.com".into()),
            git: Some(("refs/heads/main".into(), "0".into(), "1".into())),
            now: at(now),
            ..New::default()
        };
        build_create(&mut self.db.acquire().await.unwrap(), &new).await.unwrap();
        new.id
    }
}

#[tokio::test]
async fn builds() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let (first, second) = (w.build(app, 1).await, w.build(app, 2).await);
    let row = build_info(&w.db, second).await.unwrap().unwrap();
    assert_eq!((row.number, row.status.as_str(), row.email.as_str()), (2, "pending", "ada@example.com"));
    assert_eq!((row.git_ref.as_deref(), row.git_new.as_deref()), (Some("refs/heads/main"), Some("1")));
    let ids = |rows: Vec<Row>| rows.into_iter().map(|b| b.id).collect::<Vec<_>>();
    assert_eq!(ids(build_list(&w.db, app, &all(&LIST)).await.unwrap().rows), [first, second]);
    assert_eq!(ids(build_newest(&w.db, app, 1).await.unwrap()), [second]);
    for (id, place) in [(first, 1), (second, 2)] {
        assert_eq!(build_info(&w.db, id).await.unwrap().unwrap().queue_position, place);
    }
    assert_eq!(build_pending(&w.db, &[app]).await.unwrap()[0].id, first);
    assert_eq!(build_pending_ids(&w.db, app).await.unwrap().len(), 2);
    assert_eq!(build_at(&w.db, app, 2).await.unwrap().unwrap().id, second);
    assert_eq!(build_status(&w.db, second).await.unwrap(), Some(BuildStatus::Pending));
    let pushed = build_of_branch(&w.db, app, "refs/heads/main").await.unwrap();
    let (email, commit) = ("ada@example.com".to_owned(), "1".to_owned());
    assert_eq!(pushed, Some(BuildOfBranch { number: 1, email, commit, version: None }));

    let slug = w.slug(app).await;
    build_slug(&w.db, first, slug).await.unwrap();
    assert_eq!(build_of_slug(&w.db, app, slug).await.unwrap().map(|b| b.id), Some(first));
    assert!(build_of_slug(&w.db, w.app("dawn").await, slug).await.unwrap().is_none());
    let release = w.release(app, "succeeded", Some(slug)).await;
    assert!(build_releases(&w.db, first, release).await.unwrap());
    assert!(!build_cancel(&w.db, first, at(3)).await.unwrap());
    let version = store::releases::release_info(&w.db, release).await.unwrap().unwrap().version;
    assert_eq!(build_rolling_out(&w.db, &[app]).await.unwrap(), [(app, 1, version)]);
    let pushed = build_of_branch(&w.db, app, "refs/heads/main").await.unwrap();
    assert_eq!(pushed.and_then(|pushed| pushed.version), Some(version));
    // It waits for its release, and for nothing else: its slot is another's.
    assert!(build_released(&w.db).await.unwrap().is_empty());
    store::rollouts::rollout_watch(&w.db, release, at(3)).await.unwrap();
    assert_eq!(build_released(&w.db).await.unwrap(), [(first, true)]);
    store::rollouts::rollout_pass(&w.db, release, at(3)).await.unwrap();
    assert_eq!(build_released(&w.db).await.unwrap(), [(first, false)]);
    assert!(build_succeed(&w.db, first, release, at(4)).await.unwrap());
    assert!(!build_succeed(&w.db, first, release, at(4)).await.unwrap());
    assert!(!build_fail(&w.db, first, "x", at(4)).await.unwrap());

    assert!(build_cancel(&w.db, second, at(3)).await.unwrap());
    assert!(!build_cancel(&w.db, second, at(5)).await.unwrap());
    assert!(!build_releases(&w.db, second, release).await.unwrap());
    assert!(build_fail(&w.db, second, "cancelled", at(6)).await.unwrap());
    let row = build_info(&w.db, second).await.unwrap().unwrap();
    assert_eq!((row.cancelled_at, row.error.as_deref()), (Some(at(3)), Some("cancelled")));
}
