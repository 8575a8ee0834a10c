//! Attempts to receive what is sent to another app, through a name that it has given up.

use api::team_members::TeamMemberSave;
use serde_json::json;

use crate::{
    teams::somebody,
    world::{Actor, World, until},
};

/// The status and the message of the attempt to get an app with this name, one's own or a team's.
async fn take(who: &Actor, name: &str, team: Option<&str>) -> (u16, String) {
    let answer = match team {
        Some(team) => who.post("/teams/apps", json!({ "name": name, "team": team })).await,
        None => who.post("/apps", json!({ "name": name })).await,
    };
    match answer.status {
        201 => (201, String::new()),
        status => (status, answer.error().2),
    }
}

fn taken(name: &str) -> (u16, String) {
    (422, format!("Name is already taken: {name}"))
}

const MADE: (u16, String) = (201, String::new());

#[tokio::test]
async fn nobody_takes_the_names_of_a_destroyed_app() {
    let t = World::start().await;
    let [ada, bob] = [somebody(&t, "ada").await, somebody(&t, "bob").await];
    assert_eq!(take(&ada, "dusk", None).await, MADE);
    assert_eq!(ada.patch("/apps/dusk", json!({ "name": "dawn" })).await.status, 200);
    assert_eq!(ada.delete("/apps/dawn").await.status, 200);

    // What a CI job with access to both apps still pushes to the old names goes to nobody.
    assert_eq!(take(&bob, "noon", None).await, MADE);
    bob.post("/teams", json!({ "name": "gang" })).await;
    for name in ["dusk", "dawn"] {
        assert_eq!(take(&bob, name, None).await, taken(name));
        assert_eq!(take(&bob, name, Some("gang")).await, taken(name));
        let renamed = bob.patch("/apps/noon", json!({ "name": name })).await.error();
        assert_eq!((renamed.0, renamed.2), taken(name));
        assert_eq!(ada.get(&format!("/apps/{name}")).await.status, 404);
    }
    // Its owner gets them back, as does an administrator of the platform, and somebody else a month later.
    assert_eq!(take(&ada, "dawn", None).await, MADE);
    assert_eq!(take(&t.owner, "dusk", None).await, MADE);
    assert_eq!(ada.delete("/apps/dawn").await.status, 200);
    sqlx::query("update app_former_names set created_at = created_at - interval '31 days'")
        .execute(&t.db)
        .await
        .unwrap();
    assert_eq!(take(&bob, "dawn", None).await, MADE);
}

#[tokio::test]
async fn names_of_a_teams_destroyed_apps_are_for_its_admins() {
    let t = World::start().await;
    let [ada, bob] = [somebody(&t, "ada").await, somebody(&t, "bob").await];
    ada.post("/teams", json!({ "name": "acme" })).await;
    let member = TeamMemberSave { email: "bob@example.com".into(), role: "member".into() };
    ada.team_member_save("acme", &member).await.unwrap();
    assert_eq!(take(&ada, "shop", Some("acme")).await, MADE);
    assert_eq!(ada.delete("/apps/shop").await.status, 200);
    for team in [None, Some("acme")] {
        assert_eq!(take(&bob, "shop", team).await, taken("shop"), "{team:?}");
    }
    assert_eq!(take(&ada, "shop", Some("acme")).await, MADE);
    assert_eq!(ada.delete("/apps/shop").await.status, 200);
    // Without the team, the name is nobody's.
    until("the team is removed", async || match ada.delete("/teams/acme").await.status {
        200 => Ok(()),
        409 => Err("its app is being destroyed".to_owned()),
        other => panic!("{other}"),
    })
    .await;
    for who in [&ada, &bob] {
        assert_eq!(take(who, "shop", None).await, taken("shop"));
    }
}
