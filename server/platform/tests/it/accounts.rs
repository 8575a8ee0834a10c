//! Accounts: the caller's own.

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
    assert_eq!(t.stranger.get("/users").await.error().0, 403);
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
    let config = t.builds().config().clone();
    let again = areas::Areas::start_with(config.clone(), t.driver.clone()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    again.stop(false).await;

    std::fs::remove_file(&file).unwrap();
    let again = areas::Areas::start_with(config, t.driver.clone()).await.unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    again.stop(false).await;
    let admins: i64 = sqlx::query_scalar("select count(*) from accounts where admin").fetch_one(&t.db).await.unwrap();
    assert_eq!(admins, 1);
}

#[tokio::test]
async fn an_administrator_sees_everybody_and_makes_others_administrators() {
    let t = World::start().await;
    let stranger = t.stranger.account_info().await.unwrap();
    let all = t.owner.user_list().await.unwrap();
    let of = |all: &[api::accounts::Account]| all.iter().find(|a| a.id == stranger.id).cloned().unwrap();
    assert!(!of(&all).admin && of(&all).suspended_at.is_none());
    let made = t.owner.patch("/users/stranger@example.com", json!({ "admin": true })).await;
    assert_eq!((made.status, made.json()["admin"].as_bool()), (200, Some(true)), "{made:?}");
    assert!(of(&t.stranger.user_list().await.unwrap()).admin);
    // Administrators cannot demote themselves, so that there is always one.
    let own = format!("/users/{}", t.owner.account_info().await.unwrap().email);
    assert_eq!(t.owner.patch(&own, json!({ "admin": false })).await.error().0, 422);
    assert_eq!(t.stranger.patch("/users/stranger@example.com", json!({ "admin": false })).await.error().0, 422);
    t.owner.patch("/users/stranger@example.com", json!({ "admin": false, "suspended": true })).await;
    assert!(of(&t.owner.user_list().await.unwrap()).suspended_at.is_some());
    let events = t.owner.event_list_all().await.unwrap();
    assert!(events.iter().any(|e| e.summary == "Revoked the administrator rights of stranger@example.com."));
}
