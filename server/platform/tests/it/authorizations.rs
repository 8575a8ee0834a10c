//! Authorizations: tokens are shown once, masked later, and invalid when they are revoked.

use api::authorizations::AuthorizationCreate;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let t = World::start().await;
    let create = AuthorizationCreate { description: Some("CI".into()), ..AuthorizationCreate::default() };
    let made = t.owner.authorization_create(&create).await.unwrap();
    let token = made.access_token.clone().unwrap().token;
    assert_eq!(made.scope, ["global"]);
    let bearer = t.actor(&token);
    assert!(bearer.account_info().await.is_ok());

    let id = made.id.to_string();
    let masked = |list: Vec<api::authorizations::Authorization>| {
        list.into_iter().find(|a| a.id == made.id).unwrap().access_token.unwrap().token
    };
    let hint = masked(t.owner.authorization_list().await.unwrap());
    assert!(hint.contains("**********") && hint != token, "{hint}");
    let body = t.owner.get("/oauth/authorizations").await.text();
    assert!(!body.contains(&token));
    assert!(!t.owner.get(&format!("/oauth/authorizations/{id}")).await.text().contains(&token));
    // Nor is it in the database in any form.
    let rows: Vec<String> =
        sqlx::query_scalar("select row_to_json(a)::text from oauth_authorizations a").fetch_all(&t.db).await.unwrap();
    assert!(rows.iter().all(|row| !row.contains(&token)));

    assert_eq!(bearer.get("/oauth/authorizations/~").await.json()["id"], id);
    t.owner.authorization_delete(&id).await.unwrap();
    let (status, kind, message) = bearer.get("/account").await.error();
    assert_eq!((status, kind.as_str(), message.as_str()), (401, "unauthorized", "Invalid credentials provided."));
    assert_eq!(t.owner.get(&format!("/oauth/authorizations/{id}")).await.error().0, 404);
}

#[tokio::test]
async fn a_token_can_be_replaced_renamed_and_limited_in_time() {
    let t = World::start().await;
    let made = t.owner.post("/oauth/authorizations", json!({ "description": "a", "expires_in": "3600" })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    let left = made["access_token"]["expires_in"].as_i64().unwrap();
    assert!((3500..=3600).contains(&left));
    let (id, old) = (made["id"].as_str().unwrap(), made["access_token"]["token"].as_str().unwrap());

    let renamed = t.owner.patch(&format!("/oauth/authorizations/{id}"), json!({ "description": "b" })).await;
    assert_eq!(renamed.json()["description"], "b");
    let rotated = t.owner.post(&format!("/oauth/authorizations/{id}/actions/regenerate-tokens"), json!({})).await;
    let new = rotated.json()["access_token"]["token"].as_str().unwrap().to_owned();
    assert_eq!(t.actor(old).get("/account").await.status, 401);
    assert_eq!(t.actor(&new).get("/account").await.status, 200);

    sqlx::query("update oauth_authorizations set expires_at = now() - interval '1s' where id = $1::uuid")
        .bind(id)
        .execute(&t.db)
        .await
        .unwrap();
    assert_eq!(t.actor(&new).get("/account").await.status, 401);

    for odd in [json!({ "expires_in": "soon" }), json!({ "expires_in": 0 }), json!({ "scope": ["everything"] })] {
        assert_eq!(t.owner.post("/oauth/authorizations", odd.clone()).await.error().0, 422, "{odd}");
    }
}

#[tokio::test]
async fn a_token_reaches_no_further_than_its_scope() {
    let t = World::start().await;
    t.app("shop").await;
    let made = t.owner.post("/oauth/authorizations", json!({ "scope": ["read"] })).await.json();
    let reader = t.actor(made["access_token"]["token"].as_str().unwrap());
    assert_eq!(reader.get("/apps/shop").await.status, 200);
    for refused in [
        reader.get("/apps/shop/config-vars").await,
        reader.patch("/apps/shop", json!({ "maintenance": true })).await,
        reader.post("/oauth/authorizations", json!({ "scope": ["global"] })).await,
        reader.post("/account/sign-in-links", json!({})).await,
    ] {
        assert_eq!(refused.error().0, 403, "{refused:?}");
    }
}

#[tokio::test]
async fn tokens_are_taken_in_every_form_that_clients_use() {
    let t = World::start().await;
    let token = t.owner.token.clone().unwrap();
    let basic = |s: String| format!("Basic {}", BASE64_STANDARD.encode(s));
    for value in [
        format!("Bearer {token}"),
        basic(format!(":{token}")),
        basic(format!("heroku:{token}")),
        basic(format!("{token}:")),
    ] {
        let answer = t.anonymous.ask("GET", "/account").header("authorization", &value).await;
        assert_eq!(answer.status, 200, "{value}");
    }
    for value in ["Bearer nonsense", "Basic ???", "Digest x", ""] {
        let answer = t.anonymous.ask("GET", "/account").header("authorization", value).await;
        assert_eq!(answer.error().0, 401, "{value}");
    }
}

#[tokio::test]
async fn strangers_do_not_reach_ones_tokens() {
    let t = World::start().await;
    let own = t.owner.authorization_list().await.unwrap()[0].id.to_string();
    assert_eq!(t.stranger.get(&format!("/oauth/authorizations/{own}")).await.error().0, 404);
    assert_eq!(t.stranger.delete(&format!("/oauth/authorizations/{own}")).await.error().0, 404);
    let (status, _, _) = t.owner.delete("/oauth/sessions/~").await.error();
    assert_eq!(status, 404);
    assert_eq!(t.owner.delete("/oauth/sessions/~").await.json()["resource"], "session");
}
