//! E-mail about invitations, through a real SMTP server, and what is said about the next step.

use api::{
    collaborators::CollaboratorCreate,
    ids::MailId,
    mails::{MailServerUpdate, MailState, MailTest},
    next_steps::SignInWay,
    team_members::TeamMemberSave,
};
use background::{Registry, testing::survives_a_crash_anywhere};
use identity::mails::SendMail;
use mail::testing::{Manner, SmtpServer};
use serde_json::json;

use crate::{
    provider::Provider,
    world::{World, refusal, until},
};

/// A platform with a team, and with a mail server of this manner.
async fn world(manner: Manner) -> (World, SmtpServer) {
    let (t, smtp) = (World::start().await, SmtpServer::start(manner).await);
    t.owner.mail_server_update(&settings(&smtp)).await.unwrap();
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    (t, smtp)
}

fn settings(smtp: &SmtpServer) -> MailServerUpdate {
    MailServerUpdate {
        host: Some("127.0.0.1".into()),
        port: Some(smtp.port()),
        tls: Some("none".into()),
        sender: Some("wharf@acme.test".into()),
        ..MailServerUpdate::default()
    }
}

fn bob() -> TeamMemberSave {
    TeamMemberSave { email: "bob@example.com".into(), role: "viewer".into() }
}

async fn invite(t: &World) -> MailId {
    t.owner.team_invitation_save("acme", &bob()).await.unwrap();
    newest(t).await
}

async fn newest(t: &World) -> MailId {
    sqlx::query_scalar("select id from mails order by created_at desc, id desc limit 1").fetch_one(&t.db).await.unwrap()
}

/// Makes the message due, and runs its job.
async fn run(t: &World) {
    sqlx::query("update jobs set run_at = now() where kind = 'mails.send'").execute(&t.db).await.unwrap();
    let registry = Registry::default().with::<SendMail>(t.platform.identity().clone());
    assert!(background::run_next(&t.db, &registry).await.unwrap());
}

async fn state(t: &World, id: MailId) -> (MailState, Option<String>) {
    let row = store::mails::mail_info(&t.db, id).await.unwrap().unwrap();
    (row.state, row.error)
}

#[tokio::test]
async fn an_invitation_is_sent_and_says_what_happens_next() {
    let (t, smtp) = world(Manner::Accept).await;
    t.owner.team_invitation_save("acme", &bob()).await.unwrap();
    let received = smtp.has_received(1).await;
    assert_eq!((received[0].from.as_str(), received[0].to[0].as_str()), ("<wharf@acme.test>", "<bob@example.com>"));
    // Long lines are encoded, with a soft break at any place.
    let text = received[0].text.replace("=\n", "");
    assert!(text.contains("invited you to the team acme") && text.contains("login?next"), "{text}");
    until("the message is sent", async || {
        let step = t.owner.team_invitation_next_step("acme", "bob@example.com").await.unwrap();
        match step.mail {
            Some(mail) if mail.state == MailState::Sent => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let listed = t.owner.team_invitation_list("acme").await.unwrap();
    assert_eq!(listed[0].mail.as_ref().unwrap().state, MailState::Sent);
    let events: Vec<(String, String)> =
        sqlx::query_as("select action, actor from events where action like 'mail.%' order by seq")
            .fetch_all(&t.db)
            .await
            .unwrap();
    let actions: Vec<&str> = events.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["mail.create", "mail.send"]);
    assert_eq!(events[0].1, "admin@wharf.localhost");
}

#[tokio::test]
async fn collaborators_and_recipients_of_apps_are_told() {
    let (t, smtp) = world(Manner::Accept).await;
    t.app("dusk").await;
    let create = CollaboratorCreate { user: Some("bob@example.com".into()), permissions: None };
    let made = t.owner.collaborator_create("dusk", &create).await.unwrap();
    smtp.has_received(1).await;
    t.owner.post("/account/app-transfers", json!({ "app": "dusk", "recipient": "stranger@example.com" })).await;
    let received = smtp.has_received(2).await;
    let to: Vec<&str> = received.iter().map(|one| one.to[0].as_str()).collect();
    assert_eq!(to, ["<bob@example.com>", "<stranger@example.com>"]);
    let step = t.owner.collaborator_next_step("dusk", &made.id.to_string()).await.unwrap();
    assert!(step.url.ends_with("/login?next=%2Fapps%2Fdusk"), "{}", step.url);
    let transfer = t.owner.app_transfer_list().await.unwrap()[0].id.to_string();
    let step = t.owner.app_transfer_next_step(&transfer).await.unwrap();
    assert_eq!(step.email, "stranger@example.com");
    // Whoever is offered the app sees no answers of the mail server.
    assert_eq!(refusal(t.stranger.app_transfer_next_step(&transfer).await).0.as_u16(), 403);
    assert_eq!(refusal(t.stranger.collaborator_next_step("dusk", "bob@example.com").await).0.as_u16(), 404);
    assert_eq!(refusal(t.stranger.team_invitation_next_step("acme", "bob@example.com").await).0.as_u16(), 404);
    assert_eq!(refusal(t.stranger.user_next_step("bob@example.com").await).0.as_u16(), 403);
}

#[tokio::test]
async fn a_rejection_is_shown_at_the_invitation() {
    let (t, smtp) = world(Manner::Reject("550 5.1.1 No such user".into())).await;
    t.platform.leave_jobs();
    let id = invite(&t).await;
    run(&t).await;
    let (state, error) = state(&t, id).await;
    assert!(state == MailState::Failed && error.as_ref().is_some_and(|why| why.contains("No such user")), "{error:?}");
    let listed = t.owner.team_invitation_list("acme").await.unwrap();
    assert!(listed[0].mail.as_ref().unwrap().error.as_ref().unwrap().contains("No such user"));
    assert!(smtp.received().is_empty());
}

#[tokio::test]
async fn a_message_is_tried_again_for_a_day() {
    let (t, smtp) = world(Manner::Cut).await;
    t.platform.leave_jobs();
    let id = invite(&t).await;
    run(&t).await;
    let (now, error) = state(&t, id).await;
    assert!(now == MailState::Pending && error.is_some(), "{error:?}");
    smtp.behave(Manner::Accept);
    run(&t).await;
    assert_eq!(state(&t, id).await, (MailState::Sent, None));
    smtp.behave(Manner::Cut);
    let late = invite(&t).await;
    assert_ne!(late, id);
    sqlx::query("update mails set created_at = now() - interval '25 hours' where id = $1")
        .bind(late)
        .execute(&t.db)
        .await
        .unwrap();
    run(&t).await;
    let (now, error) = state(&t, late).await;
    assert!(now == MailState::Failed && error.as_ref().unwrap().contains("Given up after a day"), "{error:?}");
}

#[tokio::test]
async fn nothing_is_sent_about_what_was_cancelled() {
    let (t, smtp) = world(Manner::Accept).await;
    t.platform.leave_jobs();
    let id = invite(&t).await;
    t.owner.team_invitation_delete("acme", "bob@example.com").await.unwrap();
    run(&t).await;
    assert_eq!(state(&t, id).await.0, MailState::Cancelled);
    let expired = invite(&t).await;
    sqlx::query("update team_invitations set expires_at = now() - interval '1 day'").execute(&t.db).await.unwrap();
    run(&t).await;
    assert_eq!(state(&t, expired).await.0, MailState::Cancelled);
    assert!(smtp.received().is_empty());
}

#[tokio::test]
async fn nobody_is_flooded() {
    let (t, _smtp) = world(Manner::Accept).await;
    t.platform.leave_jobs();
    for n in 0..7 {
        let app = format!("dusk-{n}");
        t.app(&app).await;
        let create = CollaboratorCreate { user: Some("bob@example.com".into()), permissions: None };
        t.owner.collaborator_create(&app, &create).await.unwrap();
    }
    let count: i64 = sqlx::query_scalar("select count(*) from mails").fetch_one(&t.db).await.unwrap();
    assert_eq!(count, 5);
    // Cancelling and inviting again does not start over.
    for _ in 0..3 {
        t.owner.team_invitation_save("acme", &bob()).await.unwrap();
        t.owner.team_invitation_delete("acme", "bob@example.com").await.unwrap();
    }
    let count: i64 = sqlx::query_scalar("select count(*) from mails").fetch_one(&t.db).await.unwrap();
    assert_eq!(count, 5);
}

#[tokio::test]
async fn sending_survives_a_crash_anywhere() {
    let (t, smtp) = world(Manner::Accept).await;
    t.platform.leave_jobs();
    let mut n = 0;
    let points = survives_a_crash_anywhere(
        &t.db,
        t.platform.identity().clone(),
        async || {
            n += 1;
            let save = TeamMemberSave { email: format!("bob{n}@example.com"), role: "viewer".into() };
            t.owner.team_invitation_save("acme", &save).await.unwrap();
            SendMail { mail: newest(&t).await }
        },
        async |job| assert_eq!(state(&t, job.mail).await.0, MailState::Sent),
    )
    .await;
    assert!(points > 1, "{points}");
    assert!(smtp.received().len() >= points);
}

#[tokio::test]
async fn whether_somebody_can_sign_in_is_said() {
    let t = World::start().await;
    t.owner.post("/teams", json!({ "name": "acme" })).await;
    t.owner.team_invitation_save("acme", &bob()).await.unwrap();
    let ask = async || t.owner.team_invitation_next_step("acme", "bob@example.com").await.unwrap();
    let step = ask().await;
    assert_eq!((step.can_sign_in, step.way, step.mail.clone()), (false, SignInWay::None, None));
    assert!(step.message.contains("no identity provider is configured"), "{}", step.message);
    assert!(step.url.ends_with("/login?next=%2Fteams"), "{}", step.url);
    let provider = Provider::start().await;
    let create = json!({
        "kind": "openid", "name": "acme", "title": "Acme ID", "issuer": provider.url,
        "client_id": "wharf", "client_secret": "hush", "domains": ["acme.test"],
    });
    t.owner.post("/identity-providers", create).await;
    assert!(ask().await.message.contains("no identity provider is trusted for addresses of example.com"));
    t.owner.patch("/identity-providers/acme", json!({ "domains": ["example.com"] })).await;
    let step = ask().await;
    assert_eq!((step.can_sign_in, step.way), (true, SignInWay::Provider));
    assert!(step.message.starts_with("bob@example.com can sign in through Acme ID."), "{}", step.message);
    t.owner.patch("/users/bob@example.com", json!({ "suspended": true })).await;
    assert!(t.owner.user_next_step("bob@example.com").await.unwrap().message.contains("suspended"));
}

#[tokio::test]
async fn the_password_stays_with_its_server() {
    let (t, smtp) = world(Manner::Accept).await;
    let set = async |update: MailServerUpdate| t.owner.mail_server_update(&update).await;
    let with = |user: &str, password: Option<&str>| MailServerUpdate {
        tls: Some("starttls".into()),
        user: Some(user.into()),
        password: password.map(String::from),
        ..settings(&smtp)
    };
    assert_eq!(refusal(set(with("wharf", None)).await).0.as_u16(), 422);
    let saved = set(with("wharf", Some("hush-hush"))).await.unwrap();
    assert!(saved.has_password && saved.user.as_deref() == Some("wharf"));
    assert!(!t.owner.get("/mail-server").await.text().contains("hush"));
    assert!(!t.owner.get("/events").await.text().contains("hush"));
    let sender = MailServerUpdate { sender: Some("ops@acme.test".into()), ..MailServerUpdate::default() };
    assert!(set(sender).await.unwrap().has_password);
    for moved in [
        MailServerUpdate { host: Some("evil.test".into()), ..MailServerUpdate::default() },
        MailServerUpdate { user: Some("eve".into()), ..MailServerUpdate::default() },
        MailServerUpdate { port: Some(26), ..MailServerUpdate::default() },
        MailServerUpdate { tls: Some("none".into()), ..MailServerUpdate::default() },
    ] {
        assert_eq!(refusal(set(moved).await).0.as_u16(), 422);
    }
    for odd in [
        MailServerUpdate { host: Some("a b\r\n".into()), ..MailServerUpdate::default() },
        MailServerUpdate { sender: Some("a@b.test\r\nBcc: eve@evil.test".into()), ..MailServerUpdate::default() },
        MailServerUpdate { port: Some(0), ..MailServerUpdate::default() },
        MailServerUpdate { tls: Some("ssl".into()), ..MailServerUpdate::default() },
    ] {
        assert_eq!(refusal(set(odd).await).0.as_u16(), 422);
    }
    let plain = MailServerUpdate { tls: Some("none".into()), user: Some(String::new()), ..MailServerUpdate::default() };
    let saved = set(plain).await.unwrap();
    assert_eq!((saved.port, saved.has_password, saved.user), (25, false, None));
    assert!(!t.owner.mail_server_delete().await.unwrap().configured);
    for answer in [t.stranger.get("/mail-server").await, t.stranger.patch("/mail-server", json!({})).await] {
        assert_eq!(answer.status, 403);
    }
}

#[tokio::test]
async fn the_test_message_reports_the_servers_answer() {
    let (t, smtp) = world(Manner::Accept).await;
    let test = async |to: Option<&str>| t.owner.mail_server_test(&MailTest { to: to.map(String::from) }).await;
    let tested = test(Some("ada@example.com")).await.unwrap();
    assert!(tested.ok && tested.answer.contains("Queued as 4711"), "{tested:?}");
    assert_eq!(smtp.received().len(), 1);
    smtp.behave(Manner::Reject("550 5.7.1 Relaying denied".into()));
    let tested = test(Some("ada@example.com")).await.unwrap();
    assert!(!tested.ok && tested.answer.contains("Relaying denied"), "{tested:?}");
    smtp.behave(Manner::Odd);
    let tested = test(Some("ada@example.com")).await.unwrap();
    assert!(!tested.ok && !tested.answer.contains("secret-banner"), "{tested:?}");
    // The first administrator has no address that mail can be sent to.
    assert_eq!(refusal(test(None).await).0.as_u16(), 422);
    assert_eq!(refusal(t.stranger.mail_server_test(&MailTest::default()).await).0.as_u16(), 403);
}
