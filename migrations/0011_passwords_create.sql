-- Passwords, for who runs the platform without a provider of identities: off until an administrator turns
-- them on, and never without a second factor.
create table password_policies (
    id         integer primary key constraint password_policies_one_check check (id = 1),
    enabled    boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
insert into password_policies (id, enabled, created_at, updated_at) values (1, false, now(), now());

create table passwords (
    id           uuid primary key,
    account_id   uuid not null constraint passwords_account_key unique references accounts on delete cascade,
    hash         text not null,
    -- What codes are made of, sealed.
    secret       bytea not null,
    -- The newest step whose code was taken: a code counts once, and none before it.
    last_step    bigint not null,
    -- In force from then on: somebody has shown that they can make codes.
    confirmed_at timestamptz,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);

-- What lets somebody in who has lost what makes the codes: once each.
create table recovery_codes (
    id          uuid primary key,
    password_id uuid not null references passwords on delete cascade,
    code_hash   bytea not null,
    used_at     timestamptz,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint recovery_codes_code_key unique (password_id, code_hash)
);
