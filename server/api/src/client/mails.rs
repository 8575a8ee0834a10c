//! The mail server, and what people do next who were invited.

use serde_json::Value;

use super::{Asked, Client, json, operations::calls, segment};
use crate::{
    mails::{MailServer, MailServerUpdate, MailTest, MailTested},
    next_steps::NextStep,
};

calls! {
    /// The mail server.
    mail_server_info() -> MailServer: "GET" "/mail-server".into();
    /// Sets the mail server, or some of its fields.
    mail_server_update(update: &MailServerUpdate) -> MailServer: "PATCH" "/mail-server".into(), update;
    /// Removes the mail server.
    mail_server_delete() -> MailServer: "DELETE" "/mail-server".into();
    /// Sends a test message.
    mail_server_test(test: &MailTest) -> MailTested: "POST" "/mail-server/actions/test".into(), test;
    /// What an invited person does next.
    team_invitation_next_step(team: &str, who: &str) -> NextStep:
        "GET" format!("/teams/{}/invitations/{}/next-step", segment(team), segment(who));
    /// What a new member of a team does next.
    team_member_next_step(team: &str, who: &str) -> NextStep:
        "GET" format!("/teams/{}/members/{}/next-step", segment(team), segment(who));
    /// What a new collaborator does next.
    collaborator_next_step(app: &str, who: &str) -> NextStep:
        "GET" format!("/apps/{}/collaborators/{}/next-step", segment(app), segment(who));
    /// What the recipient of an app does next.
    app_transfer_next_step(id: &str) -> NextStep:
        "GET" format!("/account/app-transfers/{}/next-step", segment(id));
    /// Whether a user can sign in.
    user_next_step(user: &str) -> NextStep: "GET" format!("/users/{}/next-step", segment(user));
}
