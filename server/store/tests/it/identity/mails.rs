//! The mail server, and messages about invitations: every query.

use api::{
    ids::{AccountId, AppTransferId, CollaboratorId, MailId, TeamId, TeamInvitationId},
    mails::{MailKind, MailState, MailTls},
    team_members::Role,
};
use store::{accounts, app_transfers::*, collaborators::*, mails::*, team_invitations, teams};

use crate::world::{World, account, at};

#[tokio::test]
async fn there_is_one_mail_server() {
    let w = World::start().await;
    assert!(mail_server_info(&w.db).await.unwrap().is_none());
    let mut row = Server {
        host: "smtp.acme.test".into(),
        port: 587,
        tls: MailTls::StartTls,
        username: Some("wharf".into()),
        password: Some(b"sealed".to_vec()),
        sender: "wharf@acme.test".into(),
        updated_at: at(1),
    };
    mail_server_save(&w.db, &row).await.unwrap();
    (row.port, row.tls, row.password) = (25, MailTls::None, None);
    mail_server_save(&w.db, &row).await.unwrap();
    let found = mail_server_info(&w.db).await.unwrap().unwrap();
    assert_eq!(
        (found.host.as_str(), found.port, found.tls, found.password),
        ("smtp.acme.test", 25, MailTls::None, None)
    );
    assert!(mail_server_delete(&w.db).await.unwrap());
    assert!(!mail_server_delete(&w.db).await.unwrap());
}

/// An invitation of bob to a new team.
async fn invitation(w: &World, bob: AccountId) -> TeamInvitationId {
    let (team, id) = (TeamId::now_v7(), TeamInvitationId::now_v7());
    teams::team_create(&w.db, team, "acme", w.account.id, at(0)).await.unwrap();
    let new = team_invitations::New {
        id,
        team,
        account: bob,
        role: Role::Viewer,
        invited_by: w.account.id,
        expires_at: at(60),
        now: at(1),
    };
    team_invitations::team_invitation_save(&w.db, &new).await.unwrap();
    id
}

async fn message(w: &World, about: About, seconds: i64) -> MailId {
    let id = MailId::now_v7();
    let new = New { id, about, sent_by: w.account.id, recipient: "bob@example.com", now: at(seconds) };
    mail_create(&w.db, &new).await.unwrap();
    id
}

#[tokio::test]
async fn messages_are_about_what_is_there() {
    let w = World::start().await;
    let bob = account("bob@example.com");
    accounts::account_create(&w.db, &bob).await.unwrap();
    let app = w.app("dusk").await;
    let (invited, added, offered) = (invitation(&w, bob.id).await, CollaboratorId::now_v7(), AppTransferId::now_v7());
    collaborator_save(&w.db, added, app, bob.id, &["view".into()], at(1)).await.unwrap();
    app_transfer_create(&w.db, offered, app, w.account.id, bob.id, at(1)).await.unwrap();
    for (about, team, shown) in [
        (About::TeamInvitation(invited), Some("acme"), None),
        (About::Collaborator(added), None, Some("dusk")),
        (About::AppTransfer(offered), None, Some("dusk")),
    ] {
        let id = message(&w, about, 2).await;
        let row = mail_info(&w.db, id).await.unwrap().unwrap();
        assert_eq!((row.kind, row.team.as_deref(), row.app.as_deref()), (about.kind(), team, shown));
        assert_eq!((row.account_id, row.sender_email.as_str()), (Some(bob.id), "ada@example.com"));
        assert_eq!(mail_of(&w.db, about).await.unwrap().unwrap().id, id);
    }
    assert_eq!(mail_count(&w.db, w.account.id, "BOB@example.com", at(1)).await.unwrap(), (3, 3));
    assert_eq!(mail_count(&w.db, bob.id, "cleo@example.com", at(1)).await.unwrap(), (0, 0));

    // What is over has no recipient any more; the row still counts.
    let left = mail_of(&w.db, About::TeamInvitation(invited)).await.unwrap().unwrap().id;
    team_invitations::team_invitation_delete(&w.db, invited).await.unwrap();
    let row = mail_info(&w.db, left).await.unwrap().unwrap();
    assert_eq!((row.kind, row.account_id, row.team), (MailKind::TeamInvitation, None, None));
    app_transfer_end(&w.db, offered, api::app_transfers::TransferState::Declined, at(3)).await.unwrap();
    assert_eq!(mail_of(&w.db, About::AppTransfer(offered)).await.unwrap().unwrap().account_id, None);
    assert_eq!(mail_count(&w.db, w.account.id, "bob@example.com", at(1)).await.unwrap(), (3, 3));
    assert_eq!(mail_sweep(&w.db, at(2)).await.unwrap(), 0);
    assert_eq!(mail_sweep(&w.db, at(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_message_ends_once() {
    let w = World::start().await;
    let bob = account("bob@example.com");
    accounts::account_create(&w.db, &bob).await.unwrap();
    let invited = invitation(&w, bob.id).await;
    let id = message(&w, About::TeamInvitation(invited), 2).await;
    mail_retry(&w.db, id, "451 busy", at(3)).await.unwrap();
    let row = mail_info(&w.db, id).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts, row.error.as_deref()), (MailState::Pending, 1, Some("451 busy")));
    assert!(mail_end(&w.db, id, MailState::Failed, Some("550 no"), at(4)).await.unwrap());
    assert!(!mail_end(&w.db, id, MailState::Sent, None, at(5)).await.unwrap());
    let shown = team_invitations::team_invitation_info(&w.db, invited).await.unwrap().unwrap();
    assert_eq!((shown.mail_state, shown.mail_error.as_deref()), (Some(MailState::Failed), Some("550 no")));
    assert_eq!(shown.mail_updated_at, Some(at(4)));
}
