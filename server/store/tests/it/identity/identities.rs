//! Identities, their providers, and sign-in attempts: every query.

use api::{
    identity_providers::ProviderKind,
    ids::{AccountId, IdentityId, IdentityProposalId, IdentityProviderId, IdentityRuleId, SignInAttemptId},
    team_members::{GrantedBy, Role},
};
use serde_json::json;
use store::{identities::*, identity_providers as providers, sign_in};

use crate::world::{World, all, at};

fn provider(name: &str) -> providers::Row {
    providers::Row {
        id: IdentityProviderId::now_v7(),
        name: name.into(),
        title: "Acme".into(),
        kind: ProviderKind::OpenId,
        issuer: "https://acme.test".into(),
        client_id: "wharf".into(),
        secret: vec![1],
        domains: vec!["acme.test".into()],
        admits: true,
        groups_claim: "groups".into(),
        groups_scope: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

#[tokio::test]
async fn identity_providers() {
    let w = World::start().await;
    let row = provider("acme");
    providers::identity_provider_create(&w.db, &row).await.unwrap();
    let twice = providers::identity_provider_create(&w.db, &provider("acme")).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("identity_providers_name_key"));
    let changed = providers::Row { title: "Other".into(), updated_at: at(1), ..row.clone() };
    providers::identity_provider_update(&w.db, &changed).await.unwrap();
    assert_eq!(providers::identity_provider_list(&w.db, &all(&providers::LIST)).await.unwrap().rows[0].title, "Other");
    assert_eq!(providers::identity_provider_by_name(&w.db, "acme").await.unwrap().unwrap().updated_at, at(1));
    let rule = |position: i32, group: &str| providers::Rule {
        id: IdentityRuleId::now_v7(),
        provider_id: row.id,
        position,
        domain: None,
        group: Some(group.into()),
        admin: false,
        team: Some("crew".into()),
        role: Some(Role::Member),
        created_at: at(0),
        updated_at: at(0),
    };
    let mut db = w.db.acquire().await.unwrap();
    providers::identity_rules_replace(&mut db, row.id, &[rule(1, "b"), rule(0, "a")]).await.unwrap();
    providers::identity_rules_replace(&mut db, row.id, &[rule(1, "d"), rule(0, "c")]).await.unwrap();
    let groups: Vec<_> =
        providers::identity_rule_list(&w.db, row.id).await.unwrap().into_iter().map(|r| r.group).collect();
    assert_eq!(groups, [Some("c".into()), Some("d".into())]);
    providers::identity_provider_delete(&w.db, row.id).await.unwrap();
    assert!(providers::identity_rule_list_of(&w.db, &[row.id]).await.unwrap().is_empty());
}

#[tokio::test]
async fn identities() {
    let w = World::start().await;
    let provider = provider("acme");
    providers::identity_provider_create(&w.db, &provider).await.unwrap();
    let row = Row {
        id: IdentityId::now_v7(),
        account_id: w.account.id,
        provider_id: provider.id,
        subject: "1".into(),
        email: None,
        given: json!({}),
        created_at: at(0),
        updated_at: at(0),
    };
    identity_create(&w.db, &row).await.unwrap();
    let twice = identity_create(&w.db, &Row { id: IdentityId::now_v7(), ..row.clone() }).await.unwrap_err();
    assert_eq!(store::broken_constraint(&twice).as_deref(), Some("identities_subject_key"));
    identity_seen(&w.db, row.id, Some("a@b.c"), &json!({ "admin": true }), at(2)).await.unwrap();
    let found = identity_by_subject(&w.db, provider.id, "1").await.unwrap().unwrap();
    assert_eq!((found.email.as_deref(), found.given), (Some("a@b.c"), json!({ "admin": true })));
    let listed = identity_list(&w.db, w.account.id, &all(&LIST)).await.unwrap().rows;
    assert!(identity_info(&w.db, w.account.id, row.id).await.unwrap().is_some());
    assert_eq!((listed[0].provider.as_str(), listed[0].updated_at), ("acme", at(2)));
    assert!(identity_delete(&w.db, AccountId::nil(), row.id).await.unwrap().is_none());
    let gone = identity_delete(&w.db, w.account.id, row.id).await.unwrap().unwrap();
    assert_eq!((gone.id, gone.given), (row.id, json!({ "admin": true })));
    let row = Row { given: json!({ "admin": false, "teams": { "crew": "admin", "ops": "viewer" } }), ..row };
    identity_create(&w.db, &row).await.unwrap();
    let mut db = w.db.acquire().await.unwrap();
    providers::identity_rules_follow_team(&mut db, "crew", "band").await.unwrap();
    let found = identity_by_subject(&w.db, provider.id, "1").await.unwrap().unwrap();
    assert_eq!(found.given, json!({ "admin": false, "teams": { "band": "admin", "ops": "viewer" } }));
    assert_eq!(identity_delete_all(&w.db, provider.id).await.unwrap()[0].id, row.id);
    assert!(identity_list(&w.db, w.account.id, &all(&LIST)).await.unwrap().rows.is_empty());
    store::accounts::account_set_admin(&w.db, w.account.id, true, GrantedBy::Rule, at(3)).await.unwrap();
    assert!(store::accounts::account_info(&w.db, w.account.id).await.unwrap().unwrap().admin);
}

#[tokio::test]
async fn sign_in_attempts() {
    let w = World::start().await;
    let provider = provider("acme");
    providers::identity_provider_create(&w.db, &provider).await.unwrap();
    let attempt = |state: &[u8]| sign_in::Row {
        id: SignInAttemptId::now_v7(),
        provider_id: provider.id,
        state_hash: state.to_vec(),
        browser_hash: b"browser".to_vec(),
        secret: vec![1],
        next: "/apps".into(),
        account_id: None,
        expires_at: at(10),
        created_at: at(0),
        updated_at: at(0),
    };
    for state in [b"a", b"b"] {
        sign_in::sign_in_attempt_create(&w.db, &attempt(state)).await.unwrap();
    }
    let take = async |provider: IdentityProviderId, state: &[u8], browser: &[u8], now: i64| {
        sign_in::sign_in_attempt_take(&w.db, provider, state, browser, at(now)).await.unwrap().is_some()
    };
    assert!(!take(IdentityProviderId::nil(), b"a", b"browser", 9).await);
    assert!(!take(provider.id, b"a", b"another", 9).await);
    assert!(!take(provider.id, b"a", b"browser", 10).await);
    assert!(take(provider.id, b"a", b"browser", 9).await);
    assert!(!take(provider.id, b"a", b"browser", 9).await);
    sign_in::sign_in_attempt_sweep(&w.db, at(11)).await.unwrap();
    assert!(!take(provider.id, b"b", b"browser", 9).await);
    sign_in::sign_in_attempt_create(&w.db, &attempt(b"c")).await.unwrap();
    sign_in::sign_in_attempt_delete_all(&w.db, provider.id).await.unwrap();
    assert!(!take(provider.id, b"c", b"browser", 9).await);
}

#[tokio::test]
async fn identity_proposals() {
    let w = World::start().await;
    let provider = provider("acme");
    providers::identity_provider_create(&w.db, &provider).await.unwrap();
    let proposal = |subject: &str| Proposal {
        id: IdentityProposalId::now_v7(),
        account_id: w.account.id,
        provider_id: provider.id,
        subject: subject.into(),
        email: Some("ada@acme.test".into()),
        expires_at: at(10),
        created_at: at(0),
        updated_at: at(0),
    };
    let mut db = w.db.acquire().await.unwrap();
    for subject in ["1", "2"] {
        identity_proposal_create(&mut db, &proposal(subject)).await.unwrap();
    }
    let list = async |now: i64| identity_proposal_list(&w.db, w.account.id, at(now)).await.unwrap();
    let found = list(9).await;
    assert_eq!((found.len(), found[0].row.subject.as_str(), found[0].title.as_str()), (1, "2", "Acme"));
    assert!(list(10).await.is_empty());
    assert!(identity_proposal_delete(&w.db, found[0].row.id).await.unwrap());
    assert!(!identity_proposal_delete(&w.db, found[0].row.id).await.unwrap());
    identity_proposal_create(&mut db, &proposal("3")).await.unwrap();
    identity_proposal_sweep(&w.db, at(11)).await.unwrap();
    assert!(list(9).await.is_empty());
    assert!(!identity_exists(&w.db, w.account.id).await.unwrap());
    assert!(identity_list_of_provider(&w.db, provider.id).await.unwrap().is_empty());
    assert!(providers::identity_provider_list_by_team(&w.db, "crew").await.unwrap().is_empty());
}
