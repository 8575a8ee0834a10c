-- Releases no longer have a copy of their set of config vars, nor apps one in `config_vars`: only the servers before
-- `0029` read the copies. A copy for each release made rollbacks, which no quota rejects, take up disk without end.
drop trigger configs_of_releases on releases;
drop trigger configs_of_config_vars on config_vars;
drop trigger config_vars_of_configs on apps;
drop function configs_of_releases, configs_of_config_vars, config_vars_of_configs;
drop table config_vars;

-- A set counts once, like a slug: with the first of the releases that refer to it.
create or replace function total_of_releases() returns trigger language plpgsql as $$
declare
    slug_bytes bigint;
    config_bytes bigint;
begin
    update slugs set released = true where id = new.slug_id and not released returning size into slug_bytes;
    select octet_length(c.sealed) into config_bytes from configs c
        where c.app_id = new.app_id and c.id = new.config_id
            and not exists (select 1 from releases r where r.app_id = c.app_id and r.config_id = c.id);
    new.total_bytes := coalesce(config_bytes, 0) + coalesce(slug_bytes, 0) + coalesce((
        select total_bytes from releases where app_id = new.app_id and version < new.version
        order by version desc limit 1), 0);
    return new;
end $$;

with parts as (
    select r.id, r.app_id, r.version, case
               when row_number() over (partition by r.app_id, r.config_id order by r.version) = 1
               then octet_length(c.sealed) else 0 end + case
               when row_number() over (partition by r.app_id, r.slug_id order by r.version) = 1
               then coalesce(s.size, 0) else 0 end as bytes
    from releases r join configs c on c.id = r.config_id left join slugs s on s.id = r.slug_id
), totals as (
    select id, sum(bytes) over (partition by app_id order by version) as total from parts
)
update releases r set total_bytes = t.total from totals t where t.id = r.id and r.total_bytes <> t.total;

alter table releases drop column config;
