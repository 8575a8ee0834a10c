-- Config vars are encrypted and stored once, as immutable sets: an app refers to its current one, and each release to
-- the one that it was created with. Existing values are moved as they are, since the key is not in the database.
create table configs (
    id         uuid primary key,
    app_id     uuid not null references apps on delete cascade,
    sealed     bytea not null,
    created_at timestamptz not null,
    constraint configs_app_key unique (app_id, id)
);

alter table apps add column config_id uuid;
alter table releases add column config_id uuid;

-- An app has no row in `config_vars` before its first change; until then, the config of all its releases is empty.
insert into configs (id, app_id, sealed, created_at) select id, app_id, config, created_at from releases;
insert into configs (id, app_id, sealed, created_at) select app_id, app_id, sealed, updated_at from config_vars;
update releases set config_id = id;
update apps a set config_id = coalesce(
    (select v.app_id from config_vars v where v.app_id = a.id),
    (select r.id from releases r where r.app_id = a.id order by r.version desc limit 1));

alter table releases alter column config_id set not null;
-- Checked at the end of the statement, which may delete an app together with its sets and all references to them.
alter table releases add constraint releases_config_fkey foreign key (app_id, config_id)
    references configs (app_id, id) on delete no action;
alter table apps add constraint apps_config_fkey foreign key (id, config_id)
    references configs (app_id, id) on delete no action;
create index releases_config on releases (app_id, config_id);

-- The previous version of the server reads and writes `config_vars` and `releases.config`. As long as it may run, what
-- either version writes is copied for the other; a later migration removes the table, the column and these triggers.
create function configs_of_releases() returns trigger language plpgsql as $$
begin
    if new.config_id is null then
        new.config_id := new.id;
        insert into configs (id, app_id, sealed, created_at) values (new.id, new.app_id, new.config, new.created_at)
            on conflict do nothing;
        update apps set config_id = new.id where id = new.app_id and config_id is null;
    else
        new.config := (select sealed from configs where id = new.config_id);
    end if;
    return new;
end $$;
create trigger configs_of_releases before insert on releases
    for each row execute function configs_of_releases();

create function configs_of_config_vars() returns trigger language plpgsql as $$
declare
    made uuid := gen_random_uuid();
begin
    insert into configs (id, app_id, sealed, created_at) values (made, new.app_id, new.sealed, new.updated_at);
    update apps set config_id = made where id = new.app_id;
    return null;
end $$;
create trigger configs_of_config_vars after insert or update on config_vars
    for each row when (pg_trigger_depth() = 0) execute function configs_of_config_vars();

create function config_vars_of_configs() returns trigger language plpgsql as $$
begin
    insert into config_vars (app_id, sealed, updated_at) select new.id, sealed, created_at from configs
        where id = new.config_id
        on conflict (app_id) do update set sealed = excluded.sealed, updated_at = excluded.updated_at;
    return null;
end $$;
create trigger config_vars_of_configs after update of config_id on apps
    for each row when (pg_trigger_depth() = 0) execute function config_vars_of_configs();
