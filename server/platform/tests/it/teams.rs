//! Teams, through the API: members, roles, invitations, apps, service accounts.

use api::{
    app_transfers::AppTransferCreate,
    collaborators::CollaboratorCreate,
    team_members::{Role, TeamMemberSave},
};
use serde_json::json;

use crate::world::{Actor, World, account, refusal};

/// A new user with an account.
pub async fn somebody(t: &World, name: &str) -> Actor {
    t.actor(&account(&t.db, &format!("{name}@example.com")).await)
}

fn member(name: &str, role: &str) -> TeamMemberSave {
    TeamMemberSave { email: format!("{name}@example.com"), role: role.into() }
}

#[tokio::test]
async fn a_team_is_made_named_and_removed() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let team = ada.post("/teams", json!({ "name": "acme" })).await;
    assert_eq!((team.status, &team.json()["role"], &team.json()["type"]), (201, &json!("admin"), &json!("team")));
    assert_eq!(t.stranger.post("/teams", json!({ "name": "acme" })).await.error().0, 422);
    for odd in ["a", "Acme", "apps", "permissions", "1st", "a b", ""] {
        assert_eq!(ada.post("/teams", json!({ "name": odd })).await.error().0, 422, "{odd}");
    }
    assert_eq!(ada.team_list().await.unwrap().len(), 1);
    assert_eq!(t.stranger.team_list().await.unwrap(), []);
    assert_eq!(refusal(t.stranger.team_info("acme").await).1, "Couldn't find that team.");
    let renamed = ada.patch("/teams/acme", json!({ "name": "apex" })).await.json();
    assert_eq!(renamed["name"], "apex");
    ada.post("/teams/apps", json!({ "name": "dusk", "team": "apex" })).await;
    let (status, _, message) = ada.delete("/teams/apex").await.error();
    assert!(status == 409 && message.contains("still has apps"), "{message}");
    ada.patch("/teams/apps/dusk", json!({ "owner": "~" })).await;
    assert_eq!(ada.delete("/teams/apex").await.status, 200);
    assert_eq!(ada.get("/teams/apex").await.status, 404);
}

#[tokio::test]
async fn an_admin_who_removes_the_creator_of_a_team_takes_over_what_it_costs() {
    let t = World::start().await;
    let [ada, bob] = [somebody(&t, "ada").await, somebody(&t, "bob").await];
    let payer = async |team: &str| -> String {
        let query = "select a.email from teams t join accounts a on a.id = t.created_by where t.name = $1";
        sqlx::query_scalar(query).bind(team).fetch_one(&t.db).await.unwrap()
    };
    for team in ["left", "removed", "demoted", "by-the-platform"] {
        ada.post("/teams", json!({ "name": team })).await;
        ada.team_member_save(team, &member("bob", "admin")).await.unwrap();
    }
    // Nobody becomes the payer of a team because its creator leaves it.
    assert_eq!(ada.delete("/teams/left/members/~").await.status, 200);
    assert_eq!(bob.delete("/teams/removed/members/ada@example.com").await.status, 200);
    bob.team_member_save("demoted", &member("ada", "member")).await.unwrap();
    assert_eq!(t.owner.delete("/teams/by-the-platform/members/ada@example.com").await.status, 200);
    for (team, email) in [("left", "ada"), ("removed", "bob"), ("demoted", "bob"), ("by-the-platform", "ada")] {
        assert_eq!(payer(team).await, format!("{email}@example.com"), "{team}");
    }
}

#[tokio::test]
async fn a_team_keeps_an_admin() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let bob = somebody(&t, "bob").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    for role in ["owner", "collaborator", ""] {
        assert_eq!(
            ada.ask("PUT", "/teams/acme/members")
                .body(json!({ "email": "bob@example.com", "role": role }).to_string())
                .await
                .error()
                .0,
            422
        );
    }
    ada.team_member_save("acme", &member("bob", "member")).await.unwrap();
    assert_eq!(bob.team_info("acme").await.unwrap().role, Role::Member);
    let last = |outcome: Result<_, api::Error>| {
        let message = outcome.map(|_: api::team_members::TeamMember| ()).unwrap_err().message;
        assert_eq!(message, "The team acme needs at least one admin. Make somebody else an admin first.");
    };
    last(ada.team_member_update("acme", &member("ada", "viewer")).await);
    last(ada.team_member_delete("acme", "ada@example.com").await);
    let (status, message) = refusal(bob.team_member_update("acme", &member("bob", "admin")).await);
    assert_eq!(
        (status.as_u16(), message.as_str()),
        (403, "You are member of the team acme. This requires the role \"admin\".")
    );
    assert_eq!(refusal(bob.team_member_delete("acme", "ada@example.com").await).0.as_u16(), 403);
    ada.team_member_update("acme", &member("bob", "admin")).await.unwrap();
    bob.team_member_delete("acme", "ada@example.com").await.unwrap();
    last(bob.team_member_delete("acme", "bob@example.com").await);
    assert_eq!(ada.get("/teams/acme").await.status, 404);
    assert_eq!(refusal(bob.team_member_update("acme", &member("nobody", "viewer")).await).0.as_u16(), 404);
}

#[tokio::test]
async fn an_address_without_an_account_waits_for_its_owner() {
    let t = World::start().await;
    t.app("dusk").await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    let create = CollaboratorCreate { user: Some("new@example.com".into()), permissions: None };
    let made = t.owner.collaborator_create("dusk", &create).await.unwrap();
    let rights: Vec<_> = made.permissions.iter().map(|p| p.name.as_str()).collect();
    assert_eq!((made.role.as_str(), rights), ("collaborator", vec!["view", "deploy", "operate"]));
    t.owner.team_member_save("acme", &member("new", "viewer")).await.unwrap();
    let row = store::accounts::account_by_email(&t.db, "NEW@example.com").await.unwrap().unwrap();
    assert_eq!(row.id.get(), made.user.id);
    // It has no sign-in method.
    for table in ["oauth_authorizations", "sessions"] {
        let count = format!("select count(*) from {table} where account_id = $1");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).bind(row.id).fetch_one(&t.db).await.unwrap();
        assert_eq!(count, 0, "{table}");
    }
    for odd in ["bob", "@x", "a@", "a b@x.de", "a@b@c", "x@acme.invalid", "acme@herokumanager.com", "<a>@b.c"] {
        assert_eq!(t.owner.post("/apps/dusk/collaborators", json!({ "user": odd })).await.error().0, 422, "{odd}");
    }
}

#[tokio::test]
async fn an_invitee_accepts_or_declines() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let bob = somebody(&t, "bob").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    let invited = ada.team_invitation_save("acme", &member("bob", "viewer")).await.unwrap();
    assert_eq!((invited.team.name.as_str(), invited.invited_by.email.as_str()), ("acme", "ada@example.com"));
    assert_eq!(bob.get("/teams/acme").await.status, 404);
    let id = invited.id.to_string();
    for who in [&ada, &t.stranger] {
        assert_eq!(refusal(who.team_invitation_accept(&id).await).0.as_u16(), 404);
    }
    assert_eq!(bob.team_invitation_list_own().await.unwrap(), [invited]);
    bob.team_invitation_decline(&id).await.unwrap();
    assert_eq!(ada.team_invitation_list("acme").await.unwrap(), []);

    let again = ada.team_invitation_save("acme", &member("bob", "viewer")).await.unwrap();
    ada.team_invitation_save("acme", &member("bob", "member")).await.unwrap();
    assert_eq!(bob.get(&format!("/teams/invitations/{}", again.id)).await.json()["role"], "member");
    bob.team_invitation_accept(&again.id.to_string()).await.unwrap();
    assert_eq!(bob.team_info("acme").await.unwrap().role, Role::Member);
    assert_eq!(refusal(ada.team_invitation_save("acme", &member("bob", "viewer")).await).0.as_u16(), 422);

    // An invitation that is older than a role changes nothing, and does not restore a removed membership.
    let old = ada.team_invitation_save("acme", &member("stranger", "admin")).await.unwrap().id.to_string();
    ada.team_member_save("acme", &member("stranger", "viewer")).await.unwrap();
    assert_eq!(refusal(t.stranger.team_invitation_accept(&old).await).0.as_u16(), 422);
    assert_eq!(t.stranger.team_info("acme").await.unwrap().role, Role::Viewer);
    ada.team_member_delete("acme", "stranger@example.com").await.unwrap();
    assert_eq!(refusal(t.stranger.team_invitation_accept(&old).await).0.as_u16(), 404);

    somebody(&t, "cleo").await;
    ada.team_invitation_save("acme", &member("cleo", "viewer")).await.unwrap();
    ada.team_invitation_delete("acme", "cleo@example.com").await.unwrap();
    assert_eq!(ada.team_invitation_list("acme").await.unwrap(), []);
    let late = ada.team_invitation_save("acme", &member("stranger", "viewer")).await.unwrap();
    sqlx::query("update team_invitations set expires_at = now() - interval '1 day'").execute(&t.db).await.unwrap();
    assert_eq!(refusal(t.stranger.team_invitation_accept(&late.id.to_string()).await).0.as_u16(), 410);
}

#[tokio::test]
async fn apps_of_a_team_are_seen_joined_locked_and_given_away() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let cleo = somebody(&t, "cleo").await;
    let bob = somebody(&t, "bob").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    ada.team_member_save("acme", &member("bob", "member")).await.unwrap();
    let app = bob.post("/teams/apps", json!({ "name": "dusk", "team": "acme" })).await.json();
    assert_eq!((&app["owner"]["email"], &app["team"]["name"]), (&json!("acme@herokumanager.com"), &json!("acme")));
    assert_eq!(ada.team_app_list("acme").await.unwrap().len(), 1);
    assert_eq!(ada.app_summary_list().await.unwrap()[0].owner, "acme");
    let status = bob.app_status("dusk").await.unwrap();
    assert_eq!(status.permissions, ["view", "logs", "config", "deploy", "run", "scale", "operate"]);

    // Joining makes a member a collaborator, who remains one when the app is locked.
    let joined = bob.post("/teams/apps/dusk/collaborators", json!({ "user": "bob@example.com" })).await;
    assert_eq!((joined.status, &joined.json()["role"]), (201, &json!("member")));
    ada.team_member_save("acme", &member("cleo", "member")).await.unwrap();
    assert_eq!(cleo.get("/apps/dusk").await.status, 200);
    assert_eq!(bob.patch("/teams/apps/dusk", json!({ "locked": true })).await.error().0, 403);
    let locked = ada.patch("/teams/apps/dusk", json!({ "locked": true })).await.json();
    assert_eq!(locked["locked"], true);
    assert_eq!((bob.get("/apps/dusk").await.status, cleo.get("/apps/dusk").await.status), (200, 404));
    assert_eq!(cleo.post("/teams/apps/dusk/collaborators", json!({ "user": "~" })).await.status, 404);
    assert_eq!(bob.delete("/apps/dusk/collaborators/bob@example.com").await.status, 200);
    assert_eq!(bob.get("/apps/dusk").await.status, 404);

    let access = ada.team_access_list("acme").await.unwrap();
    let of = |email: &str| access.iter().find(|a| a.user.email == email).unwrap().permissions.clone();
    assert_eq!(of("ada@example.com"), ["view", "deploy", "operate", "manage"]);
    assert_eq!(of("bob@example.com"), Vec::<String>::new());

    // The recipient has to accept; an admin makes the offer.
    let (status, _, message) = ada.patch("/teams/apps/dusk", json!({ "owner": "bob@example.com" })).await.error();
    assert_eq!(
        (status, message.as_str()),
        (422, "bob@example.com has to accept app dusk first. Offer it with POST /account/app-transfers.")
    );
    let offer = |to: &str| AppTransferCreate { app: Some("dusk".into()), recipient: Some(to.into()) };
    assert_eq!(refusal(bob.app_transfer_create(&offer("bob@example.com")).await).0.as_u16(), 404);
    ada.app_transfer_create(&offer("cleo@example.com")).await.unwrap();
    // A later offer replaces it.
    ada.app_transfer_create(&offer("bob@example.com")).await.unwrap();
    let accept = json!({ "state": "accepted" });
    assert_eq!(cleo.patch("/account/app-transfers/dusk", accept.clone()).await.error().0, 404);
    assert_eq!(bob.patch("/account/app-transfers/dusk", accept).await.status, 200);
    let given = bob.get("/apps/dusk").await.json();
    assert_eq!((&given["owner"]["email"], &given["locked"]), (&json!("bob@example.com"), &json!(false)));
    assert_eq!(ada.get("/apps/dusk").await.status, 404);
    assert_eq!(bob.patch("/teams/apps/dusk", json!({ "owner": "stranger@example.com" })).await.error().0, 422);
    assert_eq!(bob.patch("/teams/apps/dusk", json!({ "locked": true })).await.error().0, 422);
    assert_eq!(bob.patch("/teams/apps/dusk", json!({ "owner": "acme" })).await.status, 200);
    assert_eq!(ada.get("/apps/dusk").await.status, 200);
    assert_eq!(bob.delete("/apps/dusk").await.error().0, 403);
}

#[tokio::test]
async fn nobody_can_grant_more_than_they_have() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let bob = somebody(&t, "bob").await;
    somebody(&t, "c").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    ada.post("/teams/apps", json!({ "name": "dusk", "team": "acme" })).await;
    ada.team_member_save("acme", &member("bob", "member")).await.unwrap();
    let give = async |who: &Actor, to: &str, permissions: &[&str]| {
        let path = format!("/teams/apps/dusk/collaborators/{to}@example.com");
        who.patch(&path, json!({ "permissions": permissions })).await
    };
    assert_eq!(give(&bob, "bob", &["manage"]).await.error().0, 403);
    assert_eq!(give(&ada, "bob", &["access", "view"]).await.status, 200);
    let (status, _, message) = give(&bob, "bob", &["deploy"]).await.error();
    assert!(status == 403 && message.contains("more than that"), "{message}");
    assert_eq!(
        bob.post("/apps/dusk/collaborators", json!({ "user": "c@example.com", "permissions": ["deploy"] }))
            .await
            .error()
            .0,
        403
    );
    assert_eq!(
        bob.post("/apps/dusk/collaborators", json!({ "user": "c@example.com", "permissions": ["status"] }))
            .await
            .status,
        201
    );
    // Leaving would grant rights of the role that the permissions on the app excluded.
    let (status, _, message) = bob.delete("/apps/dusk/collaborators/~").await.error();
    assert!(status == 403 && message.contains("more than that"), "{message}");
    assert_eq!(give(&ada, "bob", &["odd"]).await.error().0, 422);
    assert_eq!(give(&ada, "bob", &[]).await.error().0, 422);
    assert_eq!(give(&ada, "stranger", &["view"]).await.error().0, 404);
    assert_eq!(
        bob.get("/apps/dusk/config-vars").await.error().2,
        "You do not have the permission \"config\" on the app dusk. You have: view, logs, access. Ask an admin of the team acme for access."
    );
    assert_eq!(ada.delete("/apps/dusk/collaborators/bob@example.com").await.status, 200);
    assert_eq!(bob.get("/apps/dusk/config-vars").await.status, 200);
}

#[tokio::test]
async fn an_app_is_offered_and_accepted() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    ada.post("/apps", json!({ "name": "dusk" })).await;
    let offer = |to: &str| AppTransferCreate { app: Some("dusk".into()), recipient: Some(to.into()) };
    assert_eq!(refusal(t.stranger.app_transfer_create(&offer("stranger@example.com")).await).0.as_u16(), 404);
    for odd in ["nobody@example.com", "ada@example.com", ""] {
        assert_eq!(refusal(ada.app_transfer_create(&offer(odd)).await).0.as_u16(), 422, "{odd}");
    }
    let made = ada.app_transfer_create(&offer("stranger@example.com")).await.unwrap();
    assert_eq!((made.state.as_str(), made.app.name.as_str()), ("pending", "dusk"));
    assert_eq!(refusal(ada.app_transfer_create(&offer("stranger@example.com")).await).0.as_u16(), 422);
    assert_eq!(t.stranger.get("/apps/dusk").await.status, 404);
    let id = made.id.to_string();
    let answer = |state: &str| json!({ "state": state });
    let path = format!("/account/app-transfers/{id}");
    assert_eq!(ada.patch(&path, answer("accepted")).await.error().0, 403);
    assert_eq!(t.owner.patch(&path, answer("accepted")).await.error().0, 404);
    assert_eq!(t.stranger.patch(&path, answer("pending")).await.error().0, 422);
    assert_eq!(t.stranger.delete(&path).await.error().0, 403);
    assert_eq!(t.stranger.patch(&path, answer("declined")).await.json()["state"], "declined");
    assert_eq!(t.stranger.patch(&path, answer("accepted")).await.error().0, 409);
    assert_eq!(ada.delete(&path).await.error().0, 409);

    ada.app_transfer_create(&offer("stranger@example.com")).await.unwrap();
    assert_eq!(t.stranger.patch("/account/app-transfers/dusk", answer("accepted")).await.json()["state"], "accepted");
    assert_eq!(t.stranger.get("/apps/dusk").await.json()["owner"]["email"], "stranger@example.com");
    assert_eq!((ada.get("/apps/dusk").await.status, ada.delete("/apps/dusk").await.status), (200, 403));
    let back = t
        .stranger
        .ask("PUT", "/account/app-transfers")
        .body(json!({ "app": "dusk", "recipient": "ada@example.com" }).to_string())
        .await
        .json();
    let path = format!("/account/app-transfers/{}", back["id"].as_str().unwrap());
    assert_eq!(t.stranger.delete(&path).await.status, 200);
    assert_eq!(ada.patch(&path, answer("accepted")).await.status, 404);
}

#[tokio::test]
async fn a_service_account_works_and_cannot_sign_in() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    ada.post("/teams/apps", json!({ "name": "dusk", "team": "acme" })).await;
    let made = ada.post("/teams/acme/service-accounts", json!({ "name": "deploy-bot" })).await.json();
    assert_eq!((&made["role"], &made["email"]), (&json!("member"), &json!("deploy-bot@acme.invalid")));
    for odd in
        [json!({ "name": "deploy-bot" }), json!({ "name": "A b" }), json!({}), json!({ "name": "x", "role": "admin" })]
    {
        assert_eq!(ada.post("/teams/acme/service-accounts", odd.clone()).await.error().0, 422, "{odd}");
    }
    let tokens = "/teams/acme/service-accounts/deploy-bot/authorizations";
    let token = ada.post(tokens, json!({ "scope": ["write"], "expires_in": 3600, "description": "CI" })).await.json();
    let bot = t.actor(token["access_token"]["token"].as_str().unwrap());
    assert_eq!(bot.get("/apps/dusk").await.status, 200);
    assert_eq!(bot.get("/apps/dusk/config-vars").await.error().0, 403);
    let seen = ada.get(tokens).await.text();
    assert!(seen.contains("**********") && !seen.contains(bot.token.as_ref().unwrap()), "{seen}");

    let whole = ada.post(tokens, json!({})).await.json();
    let all = t.actor(whole["access_token"]["token"].as_str().unwrap());
    for (path, body) in [
        ("/account/sign-in-links", json!({})),
        ("/oauth/authorizations", json!({})),
        ("/teams", json!({ "name": "bots" })),
        ("/apps", json!({})),
    ] {
        assert_eq!(all.post(path, body).await.error().0, 403, "{path}");
    }
    assert_eq!(refusal(ada.team_member_delete("acme", "deploy-bot@acme.invalid").await).0.as_u16(), 422);
    let admin = TeamMemberSave { email: "deploy-bot@acme.invalid".into(), role: "admin".into() };
    assert_eq!(refusal(ada.team_member_update("acme", &admin).await).0.as_u16(), 422);
    t.stranger.post("/apps", json!({ "name": "dawn" })).await;
    assert_eq!(
        t.stranger.post("/apps/dawn/collaborators", json!({ "user": "deploy-bot@acme.invalid" })).await.error().0,
        422
    );

    // Not even a token with all rights on an app can transfer it to its own account.
    let rights = json!({ "permissions": ["view", "deploy", "operate", "manage"] });
    let path = "/teams/apps/dusk/collaborators/deploy-bot@acme.invalid";
    assert_eq!(ada.patch(path, rights).await.status, 200);
    assert_eq!(all.patch("/teams/apps/dusk", json!({ "owner": "~" })).await.error().0, 403);

    let id = whole["id"].as_str().unwrap();
    assert_eq!(ada.delete(&format!("{tokens}/{id}")).await.status, 200);
    assert_eq!(all.get("/apps").await.status, 401);
    assert_eq!(ada.delete("/teams/acme/service-accounts/deploy-bot").await.status, 200);
    assert_eq!(bot.get("/apps/dusk").await.status, 401);
    assert_eq!(ada.post("/teams/acme/service-accounts", json!({ "name": "deploy-bot" })).await.status, 201);
    let members = ada.team_member_list("acme").await.unwrap();
    assert_eq!(members.iter().map(|m| m.service).collect::<Vec<_>>(), [false, true]);
    let events = t.owner.event_list_all().await.unwrap();
    let actions: Vec<_> = events.iter().map(|e| e.action.as_str()).collect();
    for action in ["team.create", "service_account.create", "service_account.authorize", "service_account.delete"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    let all = serde_json::to_string(&events).unwrap();
    assert!(!all.contains(bot.token.as_ref().unwrap()));
}

#[tokio::test]
async fn who_makes_a_locked_app_works_on_it() {
    let t = World::start().await;
    let ada = somebody(&t, "ada").await;
    let bob = somebody(&t, "bob").await;
    ada.post("/teams", json!({ "name": "acme" })).await;
    ada.team_member_save("acme", &member("bob", "member")).await.unwrap();
    let made = bob.post("/teams/apps", json!({ "name": "dusk", "team": "acme", "locked": true })).await;
    assert_eq!(made.status, 201);
    assert_eq!(bob.get("/apps/dusk/config-vars").await.status, 200);
    let events = t.owner.event_list_all().await.unwrap();
    assert!(events.iter().any(|e| e.action == "collaborator.create" && e.actor == "bob@example.com"));
}
