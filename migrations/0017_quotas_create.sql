-- How much an account or a team may have; a row of neither holds for all that have none of their own. Without a
-- row the platform's own number holds, which is in its code. The server before this one counts nothing.
create table quotas (
    id         uuid primary key,
    account_id uuid references accounts on delete cascade,
    team_id    uuid references teams on delete cascade,
    kind       text not null constraint quotas_kind_check check (kind in
               ('apps', 'dynos', 'memory_mb', 'pending_builds', 'upload_bytes', 'repository_bytes')),
    most       bigint not null constraint quotas_most_check check (most >= 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint quotas_owner_check check (num_nonnulls(account_id, team_id) <= 1)
);
create unique index quotas_kind_key on quotas
    (coalesce(account_id, team_id, '00000000-0000-0000-0000-000000000000'), kind);
create index sources_account on sources (account_id);
create index releases_slug on releases (slug_id);
