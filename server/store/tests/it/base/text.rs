//! Enums in text columns: the names that the database and the code know are the same.

use std::{collections::BTreeSet, path::Path};

use api::{
    app_transfers::TransferState,
    backups::BackupState,
    builds::BuildStatus,
    dynos::DynoState,
    identity_providers::ProviderKind,
    invitation_policy::Inviters,
    jobs::JobState,
    mails::{MailKind, MailState, MailTls},
    named::Named,
    quotas::QuotaKind,
    releases::{ReleaseStatus, Rollout},
    team_members::{GrantedBy, Role},
};
use sqlx::{AssertSqlSafe, PgConnection};
use store::{broken_constraint, text::Text};

use crate::world::World;

/// Checks that a column takes `values`, and nothing else; and that each is read as it was written.
async fn check<T: Named + Unpin>(db: &mut PgConnection, table: &str, column: &str, values: &[T]) {
    let constraint = format!("{table}_{column}_check");
    let rule: String = sqlx::query_scalar("select pg_get_constraintdef(oid) from pg_constraint where conname = $1")
        .bind(&constraint)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let allowed: BTreeSet<&str> = rule.split('\'').skip(1).step_by(2).collect();
    assert_eq!(allowed, values.iter().map(|value| value.name()).collect(), "{constraint}");

    let copy = format!("create temp table probe as select \"{column}\" from {table} with no data");
    let rule = format!("alter table probe add constraint {constraint} {rule}");
    for sql in [copy, rule] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *db).await.unwrap();
    }
    let insert = format!("insert into probe (\"{column}\") values ($1) returning \"{column}\"");
    for value in values {
        let written = sqlx::query_scalar::<_, Text<T>>(AssertSqlSafe(insert.clone())).bind(Text(*value));
        assert_eq!(written.fetch_one(&mut *db).await.unwrap(), Text(*value));
    }
    let unknown = sqlx::query(AssertSqlSafe(insert.clone())).bind(Text(T::UNKNOWN)).execute(&mut *db).await;
    assert!(matches!(unknown, Err(sqlx::Error::Encode(_))), "{constraint}: {unknown:?}");
    let other = sqlx::query(AssertSqlSafe(insert)).bind("steam").execute(&mut *db).await.unwrap_err();
    assert_eq!(broken_constraint(&other).as_deref(), Some(constraint.as_str()));
    sqlx::query("drop table probe").execute(&mut *db).await.unwrap();
}

#[tokio::test]
async fn a_column_takes_the_values_of_its_enum() {
    let w = World::start().await;
    let mut db = w.db.acquire().await.unwrap();
    check(&mut db, "app_transfers", "state", TransferState::ALL).await;
    check(&mut db, "backups", "state", BackupState::ALL).await;
    check(&mut db, "builds", "status", BuildStatus::ALL).await;
    check(&mut db, "releases", "status", ReleaseStatus::ALL).await;
    check(&mut db, "releases", "rollout", Rollout::ALL).await;
    check(&mut db, "team_members", "role", Role::ALL).await;
    check(&mut db, "team_invitations", "role", Role::ALL).await;
    check(&mut db, "identity_rules", "role", Role::ALL).await;
    check(&mut db, "team_members", "given_by", GrantedBy::ALL).await;
    check(&mut db, "accounts", "admin_by", GrantedBy::ALL).await;
    check(&mut db, "invitation_policies", "who", Inviters::ALL).await;
    check(&mut db, "mail_servers", "tls", MailTls::ALL).await;
    check(&mut db, "mails", "kind", MailKind::ALL).await;
    check(&mut db, "mails", "state", MailState::ALL).await;
    check(&mut db, "identity_providers", "kind", ProviderKind::ALL).await;
    check(&mut db, "quotas", "kind", QuotaKind::ALL).await;
    // The others are states in the API only.
    let dynos: Vec<DynoState> = DynoState::ALL.iter().copied().filter(|state| *state != DynoState::Idle).collect();
    check(&mut db, "dynos", "state", &dynos).await;
    // Nothing restarts one that has ended.
    check(&mut db, "one_offs", "state", &[DynoState::Starting, DynoState::Up, DynoState::Down]).await;
    let jobs: Vec<JobState> = JobState::ALL.iter().copied().filter(|state| *state != JobState::Waiting).collect();
    check(&mut db, "jobs", "state", &jobs).await;
}

/// A newer version may have written it, and both run for a moment.
#[tokio::test]
async fn a_name_that_only_a_newer_version_knows_is_read() {
    let w = World::start().await;
    let read = sqlx::query_scalar::<_, Text<BuildStatus>>("select 'steam'").fetch_one(&w.db).await.unwrap();
    assert_eq!(read, Text(BuildStatus::Unknown));
}

/// A typo in a literal would not be an error, but a query that finds nothing.
#[test]
fn literals_in_queries_are_names() {
    let source = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let status = [names(BuildStatus::ALL), names(ReleaseStatus::ALL)].concat();
    let state =
        [names(TransferState::ALL), names(BackupState::ALL), names(DynoState::ALL), names(JobState::ALL)].concat();
    let by = names(GrantedBy::ALL);
    let rollout = names(Rollout::ALL);
    for (column, names) in
        [("status", status), ("state", state), ("role", names(Role::ALL)), ("given_by", by), ("rollout", rollout)]
    {
        let found = literals(&source, column);
        assert!(!found.is_empty(), "{column}");
        let wrong: Vec<_> = found.into_iter().filter(|literal| !names.contains(literal)).collect();
        assert!(wrong.is_empty(), "{column}: {wrong:?}");
    }
}

/// The text of all files below a folder.
fn sources(folder: &Path) -> String {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { sources(&path) } else { std::fs::read_to_string(&path).unwrap() }).collect()
}

fn names<T: Named>(values: &[T]) -> Vec<&'static str> {
    values.iter().map(|value| value.name()).collect()
}

/// The literals to which `column` is compared or set in SQL.
fn literals<'a>(source: &'a str, column: &str) -> Vec<&'a str> {
    let after = |operator: &str| {
        let pattern = format!("{column} {operator}");
        source.match_indices(&pattern).map(|(at, _)| &source[at + pattern.len()..]).collect::<Vec<_>>()
    };
    let single = ["= '", "<> '"].into_iter().flat_map(after).filter_map(|rest| rest.split('\'').next());
    let several = after("in (").into_iter().filter_map(|rest| rest.split(')').next());
    single.chain(several.flat_map(|list| list.split('\'').skip(1).step_by(2))).collect()
}
