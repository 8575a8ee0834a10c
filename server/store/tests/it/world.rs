//! Fixtures for most tests.

use std::collections::BTreeMap;

use api::{
    dynos::DynoState,
    ids::{AccountId, AppId, ConfigSetId, DynoId, ReleaseId, RunId, SlugId},
    releases::ReleaseStatus,
};
use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use store::{
    accounts, apps, config_vars, dynos, one_offs,
    pages::{List, Range},
    releases, slugs,
};

pub struct World {
    pub db: PgPool,
    pub account: accounts::Row,
}

/// A time that the database stores without rounding.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// All rows of a short list.
pub fn all(list: &'static List) -> Range {
    Range::longest(list)
}

pub fn account(email: &str) -> accounts::Row {
    accounts::Row {
        id: AccountId::now_v7(),
        email: email.into(),
        name: None,
        admin: false,
        last_login: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A web dyno or another of size Basic, which is up.
pub fn dyno_row(app: AppId, release: ReleaseId, kind: &str, ordinal: i32) -> dynos::Row {
    dynos::Row {
        id: DynoId::now_v7(),
        app_id: app,
        name: format!("{kind}.{ordinal}"),
        kind: kind.into(),
        ordinal,
        size: "Basic".into(),
        command: "run".into(),
        release_id: release,
        version: 1,
        state: DynoState::Up,
        run_id: RunId::now_v7(),
        addr: None,
        started_at: Some(at(1)),
        retiring_at: None,
        stopping_at: None,
        killed_at: None,
        starts: 1,
        crashes: 0,
        next_start_at: None,
        last_exit: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A one-off dyno of size Basic that is to be started.
pub fn one_off_row(app: AppId, release: ReleaseId, name: &str) -> one_offs::Row {
    one_offs::Row {
        id: DynoId::now_v7(),
        app_id: app,
        name: name.into(),
        kind: "run".into(),
        size: "Basic".into(),
        command: "bash".into(),
        release_id: release,
        version: 1,
        run_id: RunId::now_v7(),
        env: Some(vec![1]),
        attached: true,
        columns: Some(80),
        lines: Some(24),
        time_limit: 3600,
        created_by: None,
        state: DynoState::Starting,
        started_at: None,
        stopping_at: None,
        ended_at: None,
        exit_status: None,
        last_exit: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

impl World {
    pub async fn start() -> Self {
        let db = store::testing::pool().await;
        let account = account("ada@example.com");
        accounts::account_create(&db, &account).await.unwrap();
        Self { db, account }
    }

    pub async fn app(&self, name: &str) -> AppId {
        let id = AppId::now_v7();
        let new = apps::New {
            id,
            name,
            owner: Some(self.account.id),
            team: None,
            locked: false,
            stack: "heroku-24",
            now: at(0),
        };
        apps::app_create(&self.db, &new).await.unwrap();
        id
    }

    pub fn slug_row(&self, app: AppId, checksum: Option<&str>) -> slugs::Row {
        slugs::Row {
            id: SlugId::now_v7(),
            app_id: app,
            checksum: checksum.map(String::from),
            size: checksum.map(|_| 42),
            process_types: Json(BTreeMap::from([("web".to_owned(), "run".to_owned())])),
            buildpack_description: Some("Node.js".into()),
            commit: Some("abc".into()),
            commit_description: Some("First".into()),
            stack: "heroku-22".into(),
            fault: None,
            refused: false,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    pub async fn slug(&self, app: AppId) -> SlugId {
        let row = self.slug_row(app, Some(&format!("SHA256:{app}")));
        slugs::slug_create(&self.db, &row).await.unwrap();
        row.id
    }

    /// A set of config vars. Returns its id.
    pub async fn config(&self, app: AppId, sealed: &[u8]) -> ConfigSetId {
        let id = ConfigSetId::now_v7();
        let new = config_vars::New { id, app, sealed, now: at(0) };
        config_vars::config_vars_create(&self.db, &new).await.unwrap();
        id
    }

    /// A release with this status. Returns its id.
    pub async fn release(&self, app: AppId, status: &str, slug: Option<SlugId>) -> ReleaseId {
        let (id, config) = (ReleaseId::now_v7(), self.config(app, b"sealed").await);
        let new = releases::New {
            id,
            app,
            status: ReleaseStatus::named(status).unwrap(),
            description: "Deploy",
            account: self.account.id,
            slug,
            config,
            commit: Some("abc"),
            watch: None,
            now: at(0),
        };
        releases::release_create(&mut self.db.acquire().await.unwrap(), &new).await.unwrap();
        id
    }

    /// Reverts the schema to the version before sets of config vars and totals of releases.
    pub async fn before_configs(&self) {
        let back = "alter table releases add column config bytea;
            update releases r set config = c.sealed from configs c where c.id = r.config_id;
            alter table releases alter column config set not null;
            create table config_vars (app_id uuid primary key references apps on delete cascade,
                sealed bytea not null, updated_at timestamptz not null);
            insert into config_vars select a.id, c.sealed, c.created_at from apps a join configs c on c.id = a.config_id;
            drop function total_of_releases cascade;
            alter table releases drop column total_bytes;
            alter table slugs drop column released;
            drop index releases_account, builds_account, team_invitations_account, team_invitations_invited_by,
                team_member_removals_account, service_accounts_created_by, app_transfers_owner,
                sign_in_attempts_account, sign_in_links_account, oauth_codes_account, log_sessions_account,
                quotas_account;
            alter table apps drop column config_id;
            alter table releases drop column config_id;
            drop table configs;";
        sqlx::raw_sql(back).execute(&self.db).await.unwrap();
    }

    /// Repeats the migrations that [`World::before_configs`] has reverted, with the rows written since.
    pub async fn after_configs(&self) {
        for migration in [
            include_str!("../../../../migrations/0029_configs_create.sql"),
            include_str!("../../../../migrations/0032_releases_totals.sql"),
            include_str!("../../../../migrations/0035_releases_config.sql"),
        ] {
            sqlx::raw_sql(migration).execute(&self.db).await.unwrap();
        }
    }
}
