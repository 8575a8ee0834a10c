-- Apps and what belongs to them alone. `uid` is the system user of the app's processes; it is
-- never used again, so that files left behind by one app can never be another's.
create sequence app_uids start 200000;

create table apps (
    id          uuid primary key,
    name        text not null constraint apps_name_key unique,
    owner_id    uuid not null references accounts on delete restrict,
    uid         int not null constraint apps_uid_key unique default nextval('app_uids'),
    stack       text not null,
    build_stack text not null,
    maintenance boolean not null default false,
    locked      boolean not null default false,
    buildpacks  text[] not null default '{}',
    features    text[] not null default '{}',
    buildpack_description text,
    repo_size   bigint,
    slug_size   bigint,
    released_at timestamptz,
    -- Set first when an app is destroyed: from then on nobody sees it, and a job takes it apart.
    deleted_at  timestamptz,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
create index apps_owner on apps (owner_id);

-- The config vars of tomorrow's release: one sealed map for each app.
create table config_vars (
    app_id     uuid primary key references apps on delete cascade,
    sealed     bytea not null,
    updated_at timestamptz not null
);

create table log_drains (
    id         uuid primary key,
    app_id     uuid not null references apps on delete cascade,
    url        text not null,
    token      text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint log_drains_url_key unique (app_id, url)
);

-- What a log session shows. Its address is signed, so no secret is kept.
create table log_sessions (
    id         uuid primary key,
    app_id     uuid not null references apps on delete cascade,
    params     jsonb not null,
    expires_at timestamptz not null,
    opened_at  timestamptz,
    created_at timestamptz not null
);
