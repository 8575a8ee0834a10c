-- An archive may be one that cannot be unpacked: that is told once, and not tried for ever.
alter table slugs
    -- Why the last try to unpack it failed; null once it went well.
    add column fault text,
    -- The archive itself is at fault, so that it is not tried again.
    add column refused boolean not null default false;

-- Looked for every few seconds, as their slugs must be unpacked before their phase.
create index releases_pending on releases (app_id) where status = 'pending';
