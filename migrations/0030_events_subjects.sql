-- Events have a subject of any kind, with its id, since names change and are used again. The hash of an event covers
-- the fields of its version: 1 is that of events from before this migration, and from a server that does not know it.
alter table events add column subject_kind text;
alter table events add column subject_id uuid;
alter table events add column version smallint not null default 1;
-- Of older events, only apps are known by id. This follows from a field that their hash covers.
alter table events disable trigger events_are_kept;
update events set subject_kind = 'app', subject_id = app_id where app_id is not null;
alter table events enable trigger events_are_kept;
create index events_subject on events (subject_id, seq desc) where subject_id is not null;
