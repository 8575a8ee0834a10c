-- The audit log can only grow: the database itself refuses changes. Its newest row is sealed with the
-- platform's key, which is not in the database, so that a log that was cut short or written anew is found.
create function events_are_kept() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log can only be added to';
end
$$;
create trigger events_are_kept before update or delete on events
    for each row execute function events_are_kept();
create trigger events_are_not_emptied before truncate on events
    for each statement execute function events_are_kept();

create table event_seals (
    id         integer primary key constraint event_seals_one_check check (id = 1),
    seq        bigint not null,
    seal       bytea,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
-- What was written before there were seals is sealed at the next start.
insert into event_seals (id, seq, seal, created_at, updated_at)
select 1, coalesce(max(seq), 0), null, now(), now() from events;
create index events_at on events (at);
