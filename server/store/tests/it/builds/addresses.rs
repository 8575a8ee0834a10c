//! URLs with secrets: every query.

use api::ids::{AppId, BuildId};
use store::{addresses::*, builds};

use crate::world::{World, at};

const OPEN: &str = "https://user:token@example.com/buildpack";
const MASKED: &str = "https://***@example.com/buildpack";

#[tokio::test]
async fn urls_with_a_password_are_found_and_replaced_once() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    for (app, url) in [(app, OPEN), (other, MASKED)] {
        let update = sqlx::query("update apps set buildpacks = $2 where id = $1").bind(app).bind(vec![url]);
        update.execute(&w.db).await.unwrap();
    }
    w.build(app, 1).await;
    let build = builds::New {
        id: BuildId::now_v7(),
        app,
        account: w.account.id,
        stack: "heroku-24".into(),
        buildpacks: vec![MASKED.into()],
        source_url: Some(OPEN.into()),
        now: at(2),
        ..builds::New::default()
    };
    builds::build_create(&mut w.db.acquire().await.unwrap(), &build).await.unwrap();

    let found = address_open_of_apps(&w.db, AppId::nil(), 10).await.unwrap();
    let of_builds = address_open_of_builds(&w.db, BuildId::nil(), 10).await.unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [app]);
    assert_eq!(of_builds.iter().map(|row| row.id).collect::<Vec<_>>(), [build.id]);
    assert_eq!(address_open_of_apps(&w.db, app, 10).await.unwrap(), [], "a run goes on where it was");

    let masked = || vec![MASKED.to_owned()];
    let now = Sealed { buildpacks: masked(), buildpacks_sealed: Some(vec![1]), ..Sealed::default() };
    assert!(address_seal_of_app(&w.db, &found[0], &now).await.unwrap());
    assert!(!address_seal_of_app(&w.db, &found[0], &now).await.unwrap(), "it was changed meanwhile");
    let now = Sealed { source_url: Some(MASKED.into()), source_sealed: Some(vec![1]), buildpacks: masked(), ..now };
    assert!(address_seal_of_build(&w.db, &of_builds[0], &now).await.unwrap());
    assert_eq!(address_open_of_apps(&w.db, AppId::nil(), 10).await.unwrap(), []);
    assert_eq!(address_open_of_builds(&w.db, BuildId::nil(), 10).await.unwrap(), []);
}
