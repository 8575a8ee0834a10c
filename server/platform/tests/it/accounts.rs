//! Accounts: oneself.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn one_sees_and_names_oneself() {
    let t = World::start().await;
    let me = t.owner.account_info().await.unwrap();
    assert!(me.admin);
    assert!(!t.stranger.account_info().await.unwrap().admin);

    let named = t.owner.patch("/account", json!({ "name": "Ada" })).await;
    assert_eq!((named.status, named.json()["name"].as_str()), (200, Some("Ada")));
    let (status, id, message) = t.owner.patch("/account", json!({ "name": "A\nda" })).await.error();
    assert_eq!((status, id.as_str()), (422, "invalid_params"));
    assert_eq!(message, "Name must have at most 100 characters and no control characters.");

    for who in ["~", &me.email.to_uppercase(), &me.id.to_string()] {
        assert_eq!(t.owner.get(&format!("/users/{who}")).await.json()["email"], me.email, "{who}");
    }
    assert_eq!(t.stranger.get(&format!("/users/{}", me.email)).await.error().0, 404);
    assert_eq!(t.owner.get("/account/features").await.json(), json!([]));
    assert_eq!(t.owner.get("/account/features/x").await.error().0, 404);
}

#[tokio::test]
async fn the_first_token_survives_a_restart_and_is_made_again_when_lost() {
    let t = World::start().await;
    let file = t.data().join("admin-token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read_to_string(&file).unwrap();

    t.platform.stop(false).await;
    let config = t.platform.config().clone();
    let again = platform::Platform::start_with(config.clone(), t.driver.clone()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    again.stop(false).await;

    std::fs::remove_file(&file).unwrap();
    let again = platform::Platform::start_with(config, t.driver.clone()).await.unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    again.stop(false).await;
    let admins: i64 = sqlx::query_scalar("select count(*) from accounts where admin").fetch_one(&t.db).await.unwrap();
    assert_eq!(admins, 1);
}
