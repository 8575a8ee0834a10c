-- Source becomes a slug (build), a slug and a configuration become a release.
create table slugs (
    id          uuid primary key,
    app_id      uuid not null references apps on delete cascade,
    -- `SHA256:<hex>` of the archive; null until it is uploaded.
    checksum    text,
    size        bigint,
    process_types jsonb not null,
    buildpack_description text,
    commit      text,
    commit_description text,
    stack       text not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
create index slugs_app on slugs (app_id);

create table releases (
    id          uuid primary key,
    app_id      uuid not null references apps on delete cascade,
    version     int not null,
    status      text not null constraint releases_status_check
                check (status in ('pending', 'succeeded', 'failed', 'expired')),
    description text not null,
    account_id  uuid not null references accounts on delete restrict,
    slug_id     uuid references slugs on delete restrict,
    -- The whole configuration of this release, sealed.
    config      bytea not null,
    -- Whether a release phase ran and left output.
    has_output  boolean not null default false,
    commit      text,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint releases_version_key unique (app_id, version)
);

create table builds (
    id          uuid primary key,
    app_id      uuid not null references apps on delete cascade,
    number      int not null,
    status      text not null constraint builds_status_check
                check (status in ('pending', 'succeeded', 'failed')),
    account_id  uuid not null references accounts on delete restrict,
    stack       text not null,
    buildpacks  text[] not null,
    -- Where the source is: an uploaded archive, an address, or a commit in the app's repository.
    source_url  text,
    source_version text,
    source_description text,
    source_checksum text,
    -- A push: which ref to move from what to what when the release exists.
    git_ref     text,
    git_old     text,
    git_new     text,
    slug_id     uuid references slugs on delete set null,
    -- Noted before the release is made, so that a cancellation cannot come in between: no reference.
    release_id  uuid,
    error       text,
    cancelled_at timestamptz,
    started_at  timestamptz,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint builds_number_key unique (app_id, number)
);
create index builds_pending on builds (created_at) where status = 'pending';

create table sources (
    id         uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    size       bigint,
    created_at timestamptz not null
);
