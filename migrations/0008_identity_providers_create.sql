-- Who vouches for people: OpenID providers and GitHub, whom they may let in, and what comes with it.
create table identity_providers (
    id           uuid primary key,
    name         text not null constraint identity_providers_name_key unique,
    title        text not null,
    kind         text not null constraint identity_providers_kind_check
                 check (kind in ('github', 'gitlab', 'google', 'openid')),
    issuer       text not null,
    client_id    text not null,
    secret       bytea not null,
    domains      text[] not null,
    groups_claim text not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);

-- Whoever has an address of the domain, or is in the group, gets in and gets this.
create table identity_rules (
    id          uuid primary key,
    provider_id uuid not null references identity_providers on delete cascade,
    position    integer not null,
    domain      text,
    "group"     text,
    admin       boolean not null,
    team        text,
    role        text constraint identity_rules_role_check check (role in ('admin', 'member', 'viewer')),
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint identity_rules_match_check check (num_nonnulls(domain, "group") = 1),
    constraint identity_rules_team_check check ((team is null) = (role is null)),
    constraint identity_rules_position_key unique (provider_id, position)
);

-- Whom a provider knows by which account. The subject is what stays; names and addresses change.
create table identities (
    id          uuid primary key,
    account_id  uuid not null references accounts on delete cascade,
    provider_id uuid not null references identity_providers on delete cascade,
    subject     text not null,
    email       text,
    -- What its rules gave, so that it can be taken back when they give it no more.
    given       jsonb not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint identities_subject_key unique (provider_id, subject)
);
create index identities_account on identities (account_id);

-- Sign-ins that are under way at a provider: one browser, once, for ten minutes.
create table sign_in_attempts (
    id           uuid primary key,
    provider_id  uuid not null references identity_providers on delete cascade,
    state_hash   bytea not null constraint sign_in_attempts_state_key unique,
    browser_hash bytea not null,
    secret       bytea not null,
    next         text not null,
    expires_at   timestamptz not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
