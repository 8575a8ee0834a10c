-- Who can ask for things: people, their tokens, their browsers, and the links that let them in.
create table accounts (
    id          uuid primary key,
    email       text not null,
    name        text,
    admin       boolean not null default false,
    last_login  timestamptz,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
create unique index accounts_email_key on accounts (lower(email));

-- API tokens. Only a hash is kept; `hint` is what listings show of the token.
create table oauth_authorizations (
    id           uuid primary key,
    account_id   uuid not null references accounts on delete cascade,
    description  text not null,
    scope        text[] not null,
    token_hash   bytea not null constraint oauth_authorizations_token_key unique,
    hint         text not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create index oauth_authorizations_account on oauth_authorizations (account_id);

-- Console sessions. The id is a hash of the cookie's value, so that a copy of the table signs nobody in.
create table sessions (
    id           uuid primary key,
    key_hash     bytea not null constraint sessions_key_key unique,
    account_id   uuid references accounts on delete cascade,
    data         jsonb not null,
    user_agent   text,
    address      text,
    created_at   timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at   timestamptz not null
);
create index sessions_account on sessions (account_id);

-- One-time links: used once, for a short time.
create table sign_in_links (
    id          uuid primary key,
    account_id  uuid not null references accounts on delete cascade,
    secret_hash bytea not null constraint sign_in_links_secret_key unique,
    expires_at  timestamptz not null,
    used_at     timestamptz,
    created_at  timestamptz not null
);
