-- Who made a team or a service account: what it takes of the machine is charged to them, and how many they make is
-- bounded. For those that exist it is the first admin of the team. The server before this one makes both without.
alter table teams add created_by uuid constraint teams_created_by_fkey references accounts on delete set null;
update teams t set created_by = (
    select m.account_id from team_members m where m.team_id = t.id and m.role = 'admin'
    order by m.created_at, m.id limit 1);
create index teams_created_by on teams (created_by);

alter table service_accounts add created_by uuid
    constraint service_accounts_created_by_fkey references accounts on delete set null;
update service_accounts s set created_by = (select t.created_by from teams t where t.id = s.team_id);

alter table quotas drop constraint quotas_kind_check;
alter table quotas add constraint quotas_kind_check check (kind in
    ('apps', 'dynos', 'memory_mb', 'pending_builds', 'upload_bytes', 'repository_bytes', 'teams', 'service_accounts'));
