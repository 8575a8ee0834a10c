-- Whether a release has come up, and for how long it has been up. Pushes wait for that, a release that does not come up
-- is replaced by the one before it, and rollbacks prefer releases that have been up.

alter table apps add column watch_seconds int not null default 10
    constraint apps_watch_seconds_check check (watch_seconds between 0 and 600);

alter table releases
    add column rollout text not null default 'waiting' constraint releases_rollout_check
        check (rollout in ('waiting', 'watching', 'passed', 'failed', 'superseded')),
    add column watch_seconds int not null default 10
        constraint releases_watch_seconds_check check (watch_seconds between 0 and 600),
    add column failed_dyno text,
    add column up_at timestamptz,
    add column up_since timestamptz,
    add column up_seconds bigint not null default 0;

-- Nobody has recorded what earlier releases did: those that succeeded count as having been up.
update releases set rollout = 'failed' where status = 'failed';
update releases set rollout = 'passed', up_at = case when slug_id is not null then created_at end
where status in ('succeeded', 'expired');
-- The one exception is a release that crashes while an earlier one serves in its place. It is still to come up, and
-- those between the two never did. What crashes now and is not replaced may have been up for months.
update releases r set rollout = 'waiting', up_at = null
where r.status = 'succeeded'
    and exists (select 1 from dynos d where d.release_id = r.id and d.type = 'web' and d.state = 'crashed')
    and not exists (select 1 from dynos d where d.release_id = r.id and d.state = 'up')
    and exists (select 1 from dynos d where d.app_id = r.app_id and d.version < r.version and d.type = 'web'
                    and d.state = 'up' and d.stopping_at is null);
update releases r set rollout = 'superseded', up_at = null from releases h
where h.app_id = r.app_id and h.status = 'succeeded' and h.rollout = 'waiting' and r.status = 'succeeded'
    and r.version < h.version
    and r.version > (select max(d.version) from dynos d where d.app_id = r.app_id and d.version < h.version
                         and d.type = 'web' and d.state = 'up' and d.stopping_at is null);

-- Which releases are up is looked up whenever dynos are.
create index releases_up on releases (id) where up_since is not null;

-- How long a push or an API build waits: 'no', 'up', or a watch period in seconds. By default, for the app's.
alter table builds add column wait text;
