-- What the releases of an app take up is summed once, when a release is created: each stores the sum up to itself.
-- Summing all of them for the quota `disk_bytes` made every change of config vars slower than the one before. Nothing of
-- it changes later: releases and their slugs are removed with their app only, and a slug has its archive, and so its
-- size, before it can be released. The previous version of the server does not know the columns, so a trigger sets them.
alter table slugs add column released boolean not null default false;
update slugs s set released = true where exists (select 1 from releases r where r.slug_id = s.id);
create index slugs_unreleased on slugs (app_id) where not released;

alter table releases add column total_bytes bigint not null default 0;
with parts as (
    select r.id, r.app_id, r.version, octet_length(r.config) + case
               when row_number() over (partition by r.app_id, r.slug_id order by r.version) = 1 then coalesce(s.size, 0)
               else 0 end as bytes
    from releases r left join slugs s on s.id = r.slug_id
), totals as (
    select id, sum(bytes) over (partition by app_id order by version) as total from parts
)
update releases r set total_bytes = t.total from totals t where t.id = r.id;

-- After `configs_of_releases`, in the order of their names: that one fills in `config`, the copy of the release's set of
-- config vars. As long as each release has a copy, copies are what is counted.
create function total_of_releases() returns trigger language plpgsql as $$
declare
    slug_bytes bigint;
begin
    update slugs set released = true where id = new.slug_id and not released returning size into slug_bytes;
    new.total_bytes := octet_length(new.config) + coalesce(slug_bytes, 0) + coalesce((
        select total_bytes from releases where app_id = new.app_id and version < new.version
        order by version desc limit 1), 0);
    return new;
end $$;
create trigger total_of_releases before insert on releases
    for each row execute function total_of_releases();

-- Removing an account looks for it in each table that refers to accounts: without an index, the end of a team with a
-- thousand people who were invited and never came read all releases and builds a thousand times.
create index releases_account on releases (account_id);
create index builds_account on builds (account_id);
create index team_invitations_account on team_invitations (account_id);
create index team_invitations_invited_by on team_invitations (invited_by);
create index team_member_removals_account on team_member_removals (account_id);
create index service_accounts_created_by on service_accounts (created_by);
create index app_transfers_owner on app_transfers (owner_id);
create index sign_in_attempts_account on sign_in_attempts (account_id);
create index sign_in_links_account on sign_in_links (account_id);
create index oauth_codes_account on oauth_codes (account_id);
create index log_sessions_account on log_sessions (account_id);
create index quotas_account on quotas (account_id);
