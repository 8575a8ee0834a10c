-- What should run (formation) and what does (dynos).
create table formation (
    id         uuid primary key,
    app_id     uuid not null references apps on delete cascade,
    type       text not null,
    command    text not null,
    quantity   int not null constraint formation_quantity_check check (quantity between 0 and 100),
    size       text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint formation_type_key unique (app_id, type)
);

-- A dyno of the formation. `run_id` is the process it has now: a crashed dyno keeps its row and
-- gets a new run. During a rollout the old and the new `web.1` both have a row.
create table dynos (
    id           uuid primary key,
    app_id       uuid not null references apps on delete cascade,
    name         text not null,
    type         text not null,
    ordinal      int not null,
    size         text not null,
    command      text not null,
    release_id   uuid not null references releases on delete cascade,
    version      int not null,
    state        text not null constraint dynos_state_check
                 check (state in ('starting', 'up', 'crashed', 'down')),
    run_id       uuid not null,
    addr         text,
    started_at   timestamptz,
    -- Set when it is to be replaced by a fresh one (restart): it goes on until that one is up.
    retiring_at  timestamptz,
    -- Set when it was told to stop.
    stopping_at  timestamptz,
    killed_at    timestamptz,
    starts       int not null default 0,
    crashes      int not null default 0,
    next_start_at timestamptz,
    last_exit    text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create index dynos_app on dynos (app_id);
