//! Row limits: every count, and rows that are removed automatically.

use api::{
    app_transfers::TransferState,
    ids::{
        AccountId, AppId, AppTransferId, CollaboratorId, FormationId, LogSessionId, OauthClientId, OauthCodeId,
        ServerId, SessionId, SignInLinkId, SourceId, TeamId, TeamInvitationId, TeamMemberId, UploadId,
    },
    team_members::Role,
};
use serde_json::json;
use store::{
    accounts, app_transfers, builds, formation, log_sessions, oauth_clients, one_offs, releases, row_limits::*,
    service_accounts, sessions, slugs,
};
use uuid::Uuid;

use crate::world::{World, account, all, at, one_off_row};

impl World {
    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.db).await.unwrap()
    }

    async fn oauth_client(&self) -> OauthClientId {
        let row = oauth_clients::Row {
            id: OauthClientId::now_v7(),
            account_id: self.account.id,
            name: "Bot".into(),
            redirect_uri: "https://example.com".into(),
            secret: vec![1],
            secret_hash: Uuid::now_v7().as_bytes().to_vec(),
            created_at: at(0),
            updated_at: at(0),
        };
        oauth_clients::oauth_client_create(&self.db, &row).await.unwrap();
        row.id
    }
}

#[tokio::test]
async fn rows_are_counted_for_those_who_have_them() {
    let w = World::start().await;
    let (me, app, team) = (w.account.id, w.app("dusk").await, TeamId::now_v7());
    let bob = account("bob@example.com");
    accounts::account_create(&w.db, &bob).await.unwrap();
    store::teams::team_create(&w.db, team, "acme", me, at(0)).await.unwrap();
    w.oauth_client().await;
    store::sources::source_create(&w.db, SourceId::now_v7(), me, at(0)).await.unwrap();
    slugs::slug_create(&w.db, &w.slug_row(app, None)).await.unwrap();
    let released = w.slug(app).await;
    let release = w.release(app, "succeeded", Some(released)).await;
    one_offs::one_off_create(&w.db, &one_off_row(app, release, "run.1")).await.unwrap();
    store::team_members::team_member_save(&w.db, TeamMemberId::now_v7(), team, me, Role::Admin, at(0)).await.unwrap();
    let new = store::team_invitations::New {
        id: TeamInvitationId::now_v7(),
        team,
        account: bob.id,
        role: Role::Viewer,
        invited_by: me,
        expires_at: at(9),
        now: at(0),
    };
    store::team_invitations::team_invitation_save(&w.db, &new).await.unwrap();
    let view = ["view".to_owned()];
    store::collaborators::collaborator_save(&w.db, CollaboratorId::now_v7(), app, bob.id, &view, at(0)).await.unwrap();
    let (nobody, no_app, no_team) = (AccountId::nil(), AppId::nil(), TeamId::nil());
    for (rows, others) in [
        (Counted::OauthClients(me), Counted::OauthClients(nobody)),
        (Counted::Sources(me), Counted::Sources(nobody)),
        (Counted::UnusedSlugs(app), Counted::UnusedSlugs(no_app)),
        (Counted::TeamMembers(team), Counted::TeamMembers(no_team)),
        (Counted::TeamInvitations(team), Counted::TeamInvitations(no_team)),
        (Counted::Collaborators(app), Counted::Collaborators(no_app)),
        (Counted::OneOffs(app), Counted::OneOffs(no_app)),
    ] {
        let mut tx = w.db.begin().await.unwrap();
        assert_eq!(row_count(&mut tx, rows).await.unwrap(), 1, "{rows:?}");
        assert_eq!(row_count(&mut tx, others).await.unwrap(), 0, "{others:?}");
    }
}

#[tokio::test]
async fn two_who_add_a_row_count_one_after_the_other() {
    let w = World::start().await;
    let (mut one, mut other) = (w.db.begin().await.unwrap(), w.db.begin().await.unwrap());
    assert_eq!(row_count(&mut one, Counted::Sources(w.account.id)).await.unwrap(), 0);
    let counted = row_count(&mut other, Counted::Sources(w.account.id));
    let add = async {
        store::sources::source_create(&mut *one, SourceId::now_v7(), w.account.id, at(0)).await.unwrap();
        one.commit().await.unwrap();
    };
    let (counted, ()) = tokio::join!(counted, add);
    assert_eq!(counted.unwrap(), 1);
}

#[tokio::test]
async fn the_newest_sessions_links_and_codes_stay() {
    let w = World::start().await;
    let (me, app, client) = (w.account.id, w.app("dusk").await, w.oauth_client().await);
    for n in 0..4_u8 {
        let now = at(i64::from(n));
        let row = sessions::Row {
            id: SessionId::now_v7(),
            key_hash: vec![n],
            account_id: Some(me),
            data: json!({}),
            user_agent: None,
            address: None,
            created_at: at(0),
            last_seen_at: now,
            expires_at: at(100),
        };
        sessions::session_create(&w.db, &row).await.unwrap();
        sessions::sign_in_link_create(&w.db, SignInLinkId::now_v7(), me, None, &[n], at(100), now).await.unwrap();
        let row = oauth_clients::Code {
            id: OauthCodeId::now_v7(),
            client_id: client,
            account_id: me,
            code_hash: vec![n],
            scope: vec!["read".into()],
            redirect_uri: "https://example.com".into(),
            challenge: None,
            authorization_id: None,
            used_at: None,
            expires_at: at(100),
            created_at: now,
            updated_at: now,
        };
        oauth_clients::oauth_code_create(&w.db, &row).await.unwrap();
        let row = log_sessions::Row {
            id: LogSessionId::now_v7(),
            app_id: app,
            params: json!({}),
            expires_at: at(100),
            opened_at: None,
            created_at: now,
            account_id: Some(me),
            credential_id: None,
        };
        log_sessions::log_session_create(&w.db, &row).await.unwrap();
    }
    // Those of others stay.
    assert!(sessions::session_trim(&w.db, AccountId::now_v7(), 0).await.unwrap().is_empty());
    assert!(!sessions::session_trim(&w.db, me, 2).await.unwrap().is_empty());
    assert!(sessions::session_trim(&w.db, me, 2).await.unwrap().is_empty());
    sessions::sign_in_link_trim(&w.db, me, 2).await.unwrap();
    oauth_clients::oauth_code_trim(&w.db, me, 2).await.unwrap();
    log_sessions::log_session_trim(&w.db, app, AccountId::now_v7(), 0).await.unwrap();
    log_sessions::log_session_trim(&w.db, app, me, 2).await.unwrap();
    for left in [
        "select sum(get_byte(key_hash, 0)) from sessions",
        "select sum(get_byte(secret_hash, 0)) from sign_in_links",
        "select sum(get_byte(code_hash, 0)) from oauth_codes",
    ] {
        assert_eq!(w.number(left).await, 2 + 3, "{left}");
    }
    let left = "select count(*) from log_sessions where created_at >= to_timestamp(1800000002)";
    assert_eq!((w.number(left).await, w.number("select count(*) from log_sessions").await), (2, 2));
}

#[tokio::test]
async fn the_newest_ended_transfers_stay_and_so_does_a_pending_one() {
    let w = World::start().await;
    let (app, ada, bob) = (w.app("dusk").await, w.account.id, account("bob@example.com"));
    accounts::account_create(&w.db, &bob).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..5 {
        let id = AppTransferId::now_v7();
        app_transfers::app_transfer_create(&w.db, id, app, ada, bob.id, at(n)).await.unwrap();
        if n < 4 {
            app_transfers::app_transfer_end(&w.db, id, TransferState::Declined, at(n)).await.unwrap();
        }
        ids.push(id);
    }
    app_transfers::app_transfer_trim(&w.db, app, 1).await.unwrap();
    let left = app_transfers::app_transfer_list(&w.db, ada, &all(&app_transfers::LIST)).await.unwrap().rows;
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), ids[3..]);
}

#[tokio::test]
async fn few_process_types_of_earlier_slugs_are_remembered() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    for n in 0..=(formation::MOST_FORMER / 50 + 1) {
        let types = (0..50).map(|m| (format!("t{n}-{m}"), "x".to_owned())).collect();
        let mut db = w.db.acquire().await.unwrap();
        formation::formation_replace(&mut db, app, &types, FormationId::now_v7, at(n)).await.unwrap();
    }
    assert_eq!(w.number("select count(*) from former_formation").await, formation::MOST_FORMER);
    assert_eq!(w.number("select count(*) from former_formation where type like 't0-%'").await, 0);
}

#[tokio::test]
async fn slugs_that_were_never_uploaded_are_removed_unless_somebody_is_uploading_them() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let mut ids = Vec::new();
    for (checksum, created_at) in [(None, at(0)), (None, at(0)), (None, at(9)), (Some("SHA256:a"), at(0))] {
        let row = slugs::Row { created_at, ..w.slug_row(app, checksum) };
        slugs::slug_create(&w.db, &row).await.unwrap();
        ids.push(row.id);
    }
    let by = (ServerId::now_v7(), UploadId::now_v7());
    assert!(store::uploads::upload_begin(&w.db, ids[1].get(), by, at(0), at(1)).await.unwrap());
    assert_eq!(slugs::slug_sweep(&w.db, at(9), at(0)).await.unwrap(), 1);
    for (id, stays) in ids.into_iter().zip([false, true, true, true]) {
        assert_eq!(slugs::slug_info(&w.db, id).await.unwrap().is_some(), stays);
    }
}

#[tokio::test]
async fn slugs_that_were_never_released_are_removed_unless_a_build_may_release_them() {
    let w = World::start().await;
    let (app, building) = (w.app("dusk").await, w.app("dawn").await);
    let mut ids = Vec::new();
    for (app, created_at) in [(app, at(0)), (app, at(0)), (app, at(9)), (building, at(0))] {
        let row = slugs::Row { created_at, ..w.slug_row(app, Some("SHA256:a")) };
        slugs::slug_create(&w.db, &row).await.unwrap();
        ids.push(row.id);
    }
    w.release(app, "failed", Some(ids[1])).await;
    let build = w.build(building, 0).await;
    assert_eq!(slugs::slug_sweep(&w.db, at(20), at(9)).await.unwrap(), 1);
    for (id, stays) in ids.iter().zip([false, true, true, true]) {
        assert_eq!(slugs::slug_info(&w.db, *id).await.unwrap().is_some(), stays);
    }
    assert!(builds::build_fail(&w.db, build, "x", at(9)).await.unwrap());
    assert_eq!(slugs::slug_sweep(&w.db, at(20), at(9)).await.unwrap(), 1);
    assert!(slugs::slug_info(&w.db, ids[3]).await.unwrap().is_none());
}

#[tokio::test]
async fn the_oldest_releases_are_deleted_with_unshared_data() {
    let w = World::start().await;
    let (app, other) = (w.app("dusk").await, w.app("dawn").await);
    let row = |app, checksum| w.slug_row(app, Some(checksum));
    let (old, both) = (row(app, "SHA256:old"), row(app, "SHA256:both"));
    for slug in [&old, &both] {
        slugs::slug_create(&w.db, slug).await.unwrap();
    }
    let gone = w.release(app, "succeeded", Some(old.id)).await;
    let pending = w.release(app, "pending", None).await;
    let shares = w.release(app, "failed", Some(both.id)).await;
    let current = w.release(app, "succeeded", None).await;
    let newest = [w.release(app, "failed", Some(both.id)).await, w.release(app, "failed", None).await];
    let elsewhere = w.release(other, "succeeded", None).await;
    let configs = w.number("select count(*) from configs").await;
    let mut db = w.db.acquire().await.unwrap();
    assert_eq!(releases::release_sweep(&mut db, 6).await.unwrap(), 0);
    assert_eq!(releases::release_sweep(&mut db, 2).await.unwrap(), 2);
    for (id, stays) in [(gone, false), (pending, true), (shares, false), (current, true), (elsewhere, true)] {
        assert_eq!(releases::release_info(&w.db, id).await.unwrap().is_some(), stays);
    }
    for id in newest {
        assert!(releases::release_info(&w.db, id).await.unwrap().is_some());
    }
    assert!(slugs::slug_info(&w.db, old.id).await.unwrap().is_none());
    assert!(slugs::slug_info(&w.db, both.id).await.unwrap().is_some(), "another release has it");
    assert_eq!(w.number("select count(*) from configs").await, configs - 2);
    // Deleted rows no longer count: there are four releases, two of them with the same slug.
    let total = "select max(r.total_bytes) from releases r join apps a on a.id = r.app_id where a.name = 'dusk'";
    assert_eq!(w.number(total).await, 4 * b"sealed".len() as i64 + 42);
}

#[tokio::test]
async fn the_oldest_builds_go_when_they_have_ended() {
    let w = World::start().await;
    let app = w.app("dusk").await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(w.build(app, n).await);
    }
    for n in [0, 2, 3] {
        assert!(builds::build_fail(&w.db, ids[n], "x", at(9)).await.unwrap());
    }
    assert_eq!(builds::build_sweep(&w.db, 4).await.unwrap(), 0);
    assert_eq!(builds::build_sweep(&w.db, 1).await.unwrap(), 2);
    for (id, stays) in ids.into_iter().zip([false, true, false, true]) {
        assert_eq!(builds::build_info(&w.db, id).await.unwrap().is_some(), stays);
    }
}

#[tokio::test]
async fn a_removed_service_account_goes_unless_history_names_it() {
    let w = World::start().await;
    let (app, team) = (w.app("dusk").await, TeamId::now_v7());
    store::teams::team_create(&w.db, team, "acme", w.account.id, at(0)).await.unwrap();
    let bots = ["idle", "busy", "late", "active"].map(|name| account(&format!("{name}@acme.invalid")));
    for (bot, name) in bots.iter().zip(["idle", "busy", "late", "active"]) {
        accounts::account_create(&w.db, bot).await.unwrap();
        let made = service_accounts::service_account_create(&w.db, bot.id, team, name, w.account.id, at(0)).await;
        made.unwrap();
    }
    let release = w.release(app, "failed", None).await;
    let by_bot = sqlx::query("update releases set account_id = $2 where id = $1").bind(release).bind(bots[1].id);
    by_bot.execute(&w.db).await.unwrap();
    let mut db = w.db.acquire().await.unwrap();
    for (bot, at) in bots.iter().zip([at(1), at(1), at(9)]) {
        assert!(service_accounts::service_account_retire(&mut db, bot.id, at).await.unwrap());
    }
    assert_eq!(accounts::account_sweep_retired(&w.db, at(9)).await.unwrap(), 1);
    for (bot, stays) in bots.iter().zip([false, true, true, true]) {
        assert_eq!(accounts::account_info_any(&w.db, bot.id).await.unwrap().is_some(), stays, "{}", bot.email);
    }
}
