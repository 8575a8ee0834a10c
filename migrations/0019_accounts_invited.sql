-- Who brings new people to the platform is a policy, and whoever exists because of an invitation alone is
-- there as long as it stands. What people decided about members and administrators is told from what rules gave.
alter table accounts
    -- Exists because somebody let the address in; nobody has come yet.
    add invited boolean not null default false,
    -- Who decided about `admin` last; absent where nobody did.
    add admin_by text constraint accounts_admin_by_check check (admin_by in ('person', 'rule')),
    -- Of a service account that was removed; what it did stays.
    add retired_at timestamptz;

update accounts a set invited = true
where last_login is null and not admin and suspended_at is null
    and not exists (select 1 from oauth_authorizations o where o.account_id = a.id)
    and not exists (select 1 from identities i where i.account_id = a.id)
    and not exists (select 1 from passwords p where p.account_id = a.id)
    and not exists (select 1 from sessions s where s.account_id = a.id)
    and not exists (select 1 from service_accounts s where s.id = a.id)
    and not exists (select 1 from apps p where p.owner_id = a.id)
    and not exists (select 1 from events e where e.actor_id = a.id);
update accounts a set admin_by = 'rule'
where admin and exists (select 1 from identities i where i.account_id = a.id and i.given -> 'admin' = 'true'::jsonb);
update accounts set admin_by = 'person' where admin and admin_by is null;
update accounts a set retired_at = suspended_at
where suspended_at is not null and email like '%.invalid'
    and not exists (select 1 from service_accounts s where s.id = a.id);

-- Whether its admins may bring new people, where the policy asks for that. Administrators of the platform say so.
alter table teams add invites boolean not null default false;

create table invitation_policies (
    id         integer primary key constraint invitation_policies_one_check check (id = 1),
    who        text not null constraint invitation_policies_who_check check (who in ('administrators', 'teams', 'domains')),
    domains    text[] not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
insert into invitation_policies (id, who, domains, created_at, updated_at) values (1, 'administrators', '{}', now(), now());

-- By whom somebody is what they are in a team: what a person says is not changed by a rule.
alter table team_members
    add given_by text not null default 'person' constraint team_members_given_by_check check (given_by in ('person', 'rule'));
update team_members m set given_by = 'rule' from teams t, identities i
where t.id = m.team_id and i.account_id = m.account_id and i.given -> 'teams' ->> t.name = m.role;

-- Whom a person took out of a team, or who left: no rule puts them back.
create table team_member_removals (
    id         uuid primary key,
    team_id    uuid not null references teams on delete cascade,
    account_id uuid not null references accounts on delete cascade,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint team_member_removals_account_key unique (team_id, account_id)
);
