-- Who works together, and who may do what with which app. An app belongs to a person or to a team.
-- The server before this one goes on: it does not see apps of teams, and knows no other new column.
create table teams (
    id         uuid primary key,
    name       text not null constraint teams_name_key unique,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table team_members (
    id         uuid primary key,
    team_id    uuid not null references teams on delete cascade,
    account_id uuid not null references accounts on delete cascade,
    role       text not null constraint team_members_role_check check (role in ('admin', 'member', 'viewer')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint team_members_account_key unique (team_id, account_id)
);
create index team_members_account on team_members (account_id);

create table team_invitations (
    id         uuid primary key,
    team_id    uuid not null references teams on delete cascade,
    account_id uuid not null references accounts on delete cascade,
    role       text not null constraint team_invitations_role_check check (role in ('admin', 'member', 'viewer')),
    invited_by uuid references accounts on delete set null,
    expires_at timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint team_invitations_account_key unique (team_id, account_id)
);

-- Programs that ask: members of one team, with tokens that people make for them, and no way to sign in.
create table service_accounts (
    id         uuid primary key references accounts on delete cascade,
    team_id    uuid not null references teams on delete cascade,
    name       text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint service_accounts_name_key unique (team_id, name)
);

-- What an account may do with one app, whatever its team says.
create table collaborators (
    id          uuid primary key,
    app_id      uuid not null references apps on delete cascade,
    account_id  uuid not null references accounts on delete cascade,
    permissions text[] not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint collaborators_account_key unique (app_id, account_id)
);
create index collaborators_account on collaborators (account_id);

create table app_transfers (
    id           uuid primary key,
    app_id       uuid not null references apps on delete cascade,
    owner_id     uuid not null references accounts on delete cascade,
    recipient_id uuid not null references accounts on delete cascade,
    state        text not null constraint app_transfers_state_check
                 check (state in ('pending', 'accepted', 'declined')),
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
-- An app is offered to one person at a time.
create unique index app_transfers_pending_key on app_transfers (app_id) where state = 'pending';
create index app_transfers_recipient on app_transfers (recipient_id);

-- Whoever is suspended is let in by no token and no session.
alter table accounts add suspended_at timestamptz;

alter table apps alter owner_id drop not null;
alter table apps add team_id uuid constraint apps_team_fkey references teams on delete restrict;
alter table apps add constraint apps_owner_check check (num_nonnulls(owner_id, team_id) = 1);
create index apps_team on apps (team_id);

-- Whose session it is, and with what it was asked for: when either may no longer read, it ends.
alter table log_sessions add account_id uuid references accounts on delete cascade;
alter table log_sessions add credential_id uuid;
