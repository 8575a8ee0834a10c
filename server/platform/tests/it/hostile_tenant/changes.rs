//! Attempts to make everybody's pages refetch, and to learn something from changes of others.

use std::collections::BTreeSet;

use api::live::{ToBrowser, Topic};
use serde_json::{Value, json};

use crate::{
    live::{Socket, bearer, open, serve, settled},
    teams::somebody,
    world::{Actor, World},
};

/// A page that follows changes and has not received any yet.
async fn page(t: &World, host: &str, who: &Actor) -> Socket {
    // Changes made just before a page opens are also sent.
    sqlx::query("alter table events disable trigger events_are_kept").execute(&t.db).await.unwrap();
    sqlx::query("update events set at = at - interval '1 minute'").execute(&t.db).await.unwrap();
    let mut socket = open(host, &bearer(who.token.as_ref().unwrap())).await.unwrap();
    socket.subscribe(1, Topic::Changes).await;
    assert_eq!(socket.value(1, |_| true).await, json!({ "nouns": [] }));
    socket
}

/// The nouns that the page receives, up to `last`.
async fn told_until(page: &mut Socket, last: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    while !told.contains(last) {
        match page.hear().await.expect("the socket is open") {
            ToBrowser::Value { id: 1, value } => {
                assert_eq!(value.get("anything"), None, "{value}");
                told.extend(value["nouns"].as_array().unwrap().iter().map(|noun| noun.as_str().unwrap().to_owned()));
            }
            ToBrowser::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
    told
}

fn nouns(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|noun| (*noun).to_owned()).collect()
}

/// Changes something of an account that these tests do not change otherwise, so that pages have received all earlier
/// changes.
async fn mark(who: &Actor) {
    assert_eq!(who.post("/sources", Value::Null).await.status, 201);
}

async fn done(who: &Actor, method: &str, path: &str, body: Value) {
    let answer = who.ask(method, path).body(body.to_string()).await;
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
}

#[tokio::test]
async fn changes_of_strangers_are_not_sent_to_others() {
    let t = World::start().await;
    let (ada, eve) = (somebody(&t, "ada").await, somebody(&t, "eve").await);
    let host = serve(&t).await;
    settled(&t, &host).await;
    let mut page_of_ada = page(&t, &host, &ada).await;
    let mut page_of_owner = page(&t, &host, &t.owner).await;
    done(&eve, "PATCH", "/account", json!({ "name": "Eve" })).await;
    done(&eve, "POST", "/oauth/authorizations", json!({ "description": "x" })).await;
    done(&eve, "POST", "/teams", json!({ "name": "acme" })).await;
    done(&eve, "POST", "/apps", json!({ "name": "dawn" })).await;
    done(&eve, "PATCH", "/apps/dawn", json!({ "name": "dusk" })).await;
    done(&eve, "POST", "/apps/dusk/collaborators", json!({ "user": "stranger@example.com" })).await;
    done(&eve, "DELETE", "/apps/dusk/collaborators/stranger@example.com", Value::Null).await;
    done(&eve, "DELETE", "/apps/dusk", Value::Null).await;
    done(&eve, "DELETE", "/teams/acme", Value::Null).await;
    mark(&ada).await;
    assert_eq!(told_until(&mut page_of_ada, "source").await, nouns(&["source"]));
    // Administrators see everything.
    let mut told = BTreeSet::new();
    for noun in ["account", "authorization", "team", "app", "collaborator"] {
        if !told.contains(noun) {
            told.extend(told_until(&mut page_of_owner, noun).await);
        }
    }
}

#[tokio::test]
async fn people_of_an_app_are_notified_before_and_after() {
    let t = World::start().await;
    let (ada, bob) = (somebody(&t, "ada").await, somebody(&t, "bob").await);
    done(&ada, "POST", "/apps", json!({ "name": "dawn" })).await;
    let host = serve(&t).await;
    settled(&t, &host).await;
    let mut page_of_ada = page(&t, &host, &ada).await;
    let mut page_of_bob = page(&t, &host, &bob).await;
    let maintenance = json!({ "maintenance": true });
    let all = "/apps/dawn/collaborators";
    // Not yet.
    done(&ada, "PATCH", "/apps/dawn", maintenance.clone()).await;
    mark(&bob).await;
    assert_eq!(told_until(&mut page_of_bob, "source").await, nouns(&["source"]));
    // Now.
    done(&ada, "POST", all, json!({ "user": "bob@example.com", "permissions": ["view"] })).await;
    assert_eq!(told_until(&mut page_of_bob, "collaborator").await, nouns(&["collaborator"]));
    done(&ada, "PATCH", "/apps/dawn", json!({ "maintenance": false })).await;
    assert_eq!(told_until(&mut page_of_bob, "app").await, nouns(&["app"]));
    // The name of a collaborator is visible to the others.
    done(&bob, "PATCH", "/account", json!({ "name": "Bob" })).await;
    assert_eq!(told_until(&mut page_of_ada, "account").await, nouns(&["account", "app", "collaborator"]));
    told_until(&mut page_of_bob, "account").await;
    // They learn that they are removed, but nothing about later changes.
    done(&ada, "DELETE", &format!("{all}/bob@example.com"), Value::Null).await;
    assert_eq!(told_until(&mut page_of_bob, "collaborator").await, nouns(&["collaborator"]));
    done(&ada, "PATCH", "/apps/dawn", maintenance).await;
    mark(&bob).await;
    assert_eq!(told_until(&mut page_of_bob, "source").await, nouns(&["source"]));
    // They learn that an app which they can see, or which is offered to them, is deleted.
    done(&ada, "POST", all, json!({ "user": "bob@example.com", "permissions": ["view"] })).await;
    told_until(&mut page_of_bob, "collaborator").await;
    done(&ada, "DELETE", "/apps/dawn", Value::Null).await;
    assert_eq!(told_until(&mut page_of_bob, "app").await, nouns(&["app"]));
    done(&ada, "POST", "/apps", json!({ "name": "noon" })).await;
    let offer = json!({ "app": "noon", "recipient": "bob@example.com" });
    done(&ada, "POST", "/account/app-transfers", offer).await;
    assert_eq!(told_until(&mut page_of_bob, "app_transfer").await, nouns(&["app_transfer"]));
    done(&ada, "DELETE", "/apps/noon", Value::Null).await;
    assert_eq!(told_until(&mut page_of_bob, "app").await, nouns(&["app"]));
}

#[tokio::test]
async fn whoever_invites_or_is_offered_an_app_is_told_of_the_other() {
    let t = World::start().await;
    let (ada, bob, eve) = (somebody(&t, "ada").await, somebody(&t, "bob").await, somebody(&t, "eve").await);
    done(&ada, "POST", "/teams", json!({ "name": "acme" })).await;
    let invite = |who: &str| json!({ "email": who, "role": "member" });
    done(&ada, "PUT", "/teams/acme/invitations", invite("bob@example.com")).await;
    done(&t.owner, "PUT", "/teams/acme/invitations", invite("new@example.com")).await;
    done(&ada, "POST", "/apps", json!({ "name": "noon" })).await;
    done(&ada, "POST", "/account/app-transfers", json!({ "app": "noon", "recipient": "eve@example.com" })).await;
    let host = serve(&t).await;
    settled(&t, &host).await;
    let mut page_of_ada = page(&t, &host, &ada).await;
    let mut page_of_bob = page(&t, &host, &bob).await;
    let mut page_of_eve = page(&t, &host, &eve).await;
    for who in [&bob, &eve] {
        done(who, "PATCH", "/account", json!({ "name": "Somebody" })).await;
        mark(&ada).await;
        assert_eq!(told_until(&mut page_of_ada, "source").await, nouns(&["account", "source"]));
    }
    told_until(&mut page_of_bob, "account").await;
    told_until(&mut page_of_eve, "account").await;
    done(&ada, "PATCH", "/account", json!({ "name": "Ada" })).await;
    for (who, page) in [(&bob, &mut page_of_bob), (&eve, &mut page_of_eve)] {
        mark(who).await;
        assert_eq!(told_until(page, "source").await, nouns(&["account", "source"]));
    }
    told_until(&mut page_of_ada, "account").await;
    // The invitation goes with the account that exists because of it.
    let expired = "update team_invitations i set expires_at = now() - interval '1 day'
                   from accounts a where a.id = i.account_id and a.invited";
    assert_eq!(sqlx::query(expired).execute(&t.db).await.unwrap().rows_affected(), 1);
    identity::invitation_policy::sweep(&t.platform).await.unwrap();
    mark(&ada).await;
    assert_eq!(told_until(&mut page_of_ada, "source").await, nouns(&["account", "source"]));
}

#[tokio::test]
async fn members_are_told_of_their_teams_before_and_after() {
    let t = World::start().await;
    let (ada, bob, eve) = (somebody(&t, "ada").await, somebody(&t, "bob").await, somebody(&t, "eve").await);
    done(&ada, "POST", "/teams", json!({ "name": "acme" })).await;
    done(&ada, "POST", "/teams/apps", json!({ "name": "dawn", "team": "acme" })).await;
    let host = serve(&t).await;
    settled(&t, &host).await;
    let mut page_of_bob = page(&t, &host, &bob).await;
    let mut page_of_eve = page(&t, &host, &eve).await;
    let member = json!({ "email": "bob@example.com", "role": "member" });
    done(&ada, "PUT", "/teams/acme/members", member.clone()).await;
    assert_eq!(told_until(&mut page_of_bob, "team_member").await, nouns(&["team_member"]));
    done(&ada, "PATCH", "/account", json!({ "name": "Ada" })).await;
    assert_eq!(told_until(&mut page_of_bob, "account").await, nouns(&["account"]));
    // A locked app disappears for members.
    done(&ada, "PATCH", "/teams/apps/dawn", json!({ "locked": true })).await;
    assert_eq!(told_until(&mut page_of_bob, "app").await, nouns(&["app"]));
    done(&ada, "PATCH", "/apps/dawn", json!({ "maintenance": true })).await;
    mark(&bob).await;
    assert_eq!(told_until(&mut page_of_bob, "source").await, nouns(&["source"]));
    done(&ada, "DELETE", "/teams/acme/members/bob@example.com", Value::Null).await;
    assert_eq!(told_until(&mut page_of_bob, "team_member").await, nouns(&["team_member"]));
    done(&ada, "PATCH", "/teams/acme", json!({ "name": "zeta" })).await;
    mark(&bob).await;
    assert_eq!(told_until(&mut page_of_bob, "source").await, nouns(&["source"]));
    // A deleted team disappears for all of them.
    done(&ada, "PUT", "/teams/zeta/members", member).await;
    told_until(&mut page_of_bob, "team_member").await;
    done(&ada, "PATCH", "/teams/apps/dawn", json!({ "owner": "~" })).await;
    assert_eq!(told_until(&mut page_of_bob, "app").await, nouns(&["app"]));
    done(&ada, "DELETE", "/teams/zeta", Value::Null).await;
    assert_eq!(told_until(&mut page_of_bob, "team").await, nouns(&["team"]));
    mark(&eve).await;
    assert_eq!(told_until(&mut page_of_eve, "source").await, nouns(&["source"]));
}
