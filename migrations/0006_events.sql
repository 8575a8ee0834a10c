-- The audit log: what was changed, by whom. Rows are only ever added. Each holds the hash of the
-- one before, so that a row that was changed or removed later is found.
create table events (
    seq        bigint primary key,
    at         timestamptz not null,
    actor_id   uuid,
    actor      text not null,
    credential text,
    address    text,
    action     text not null,
    subject    text not null,
    app_id     uuid,
    summary    text not null,
    data       jsonb not null,
    previous   bytea not null,
    hash       bytea not null
);
create index events_app on events (app_id, seq desc);
