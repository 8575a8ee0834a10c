-- Programs of others that people let act for them: dashboards, bots. A client gets a code, and for it tokens.
create table oauth_clients (
    id           uuid primary key,
    account_id   uuid not null references accounts on delete cascade,
    name         text not null,
    redirect_uri text not null,
    secret       bytea not null,
    secret_hash  bytea not null constraint oauth_clients_secret_key unique,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create index oauth_clients_account on oauth_clients (account_id);

-- A token that a client got lives for hours; what it is renewed with, until it is revoked.
alter table oauth_authorizations add client_id uuid references oauth_clients on delete cascade;
alter table oauth_authorizations add refresh_hash bytea constraint oauth_authorizations_refresh_key unique;

create table oauth_codes (
    id               uuid primary key,
    client_id        uuid not null references oauth_clients on delete cascade,
    account_id       uuid not null references accounts on delete cascade,
    code_hash        bytea not null constraint oauth_codes_code_key unique,
    scope            text[] not null,
    redirect_uri     text not null,
    challenge        text,
    -- What was made of it: revoked when the code comes a second time, because then somebody stole it.
    authorization_id uuid references oauth_authorizations on delete set null,
    used_at          timestamptz,
    expires_at       timestamptz not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null
);
