-- Backups of the platform: where and when they are made, and what became of each. The times are those of the schedule
-- `backups`. The previous version of the server ignores both tables.
create table backup_policies (
    id            uuid primary key,
    -- A folder or s3://bucket/prefix; null: no backups.
    target        text constraint backup_policies_target_check check (length(target) <= 1000),
    endpoint      text constraint backup_policies_endpoint_check check (length(endpoint) <= 1000),
    region        text constraint backup_policies_region_check check (length(region) <= 100),
    access_key_id text constraint backup_policies_access_key_id_check check (length(access_key_id) <= 200),
    -- The secret access key, encrypted.
    secret        bytea,
    -- The master key, encrypted with a passphrase that is not stored.
    wrapped_key   jsonb,
    with_logs     boolean not null default true,
    -- Days whose last backup is kept.
    keep          integer not null default 14 constraint backup_policies_keep_check check (keep between 1 and 3650),
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now()
);
-- There is one.
insert into backup_policies (id) values ('00000000-0000-0000-0000-000000000000');

create table backups (
    id           uuid primary key,
    -- Its name in the target.
    name         text not null,
    target       text not null,
    state        text not null constraint backups_state_check check (state in ('running', 'completed', 'verified', 'failed')),
    with_logs    boolean not null,
    -- Of everything that it consists of, and of what was not in the target before.
    bytes        bigint not null default 0,
    stored_bytes bigint not null default 0,
    files        bigint not null default 0,
    error        text constraint backups_error_check check (length(error) <= 2000),
    started_at   timestamptz not null,
    finished_at  timestamptz,
    verified_at  timestamptz,
    -- When it was removed from the target.
    removed_at   timestamptz,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);
create index backups_by_target on backups (target, name);
create index backups_verified on backups (verified_at);
