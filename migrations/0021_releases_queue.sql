-- Release phases get places, as builds do: one that waits is a row and holds no worker. A release without a place has
-- no `started_at`. The server before this one makes releases without it and runs them all the same.
alter table releases add started_at timestamptz, add cancelled_at timestamptz;

-- What runs goes on. Of the later ones of the same apps, jobs wait inside a worker: they end by themselves, and
-- come again when it is their turn.
update releases r set started_at = now()
where r.status = 'pending'
    and exists (select 1 from jobs j where j.kind = 'releases.run' and j.subject = r.id
                    and j.state in ('pending', 'running'))
    and not exists (select 1 from releases e where e.app_id = r.app_id and e.status = 'pending'
                        and e.version < r.version);
