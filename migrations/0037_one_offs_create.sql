-- One-off dynos: commands that somebody runs in an app. They are not part of its formation: nothing restarts them, and
-- their rows stay for a while after their end, with the exit status.
create table one_offs (
    id           uuid primary key,
    app_id       uuid not null references apps on delete cascade,
    -- run.1234; unique while it runs.
    name         text not null,
    type         text not null,
    size         text not null,
    command      text not null constraint one_offs_command_check check (octet_length(command) <= 10000),
    release_id   uuid not null references releases on delete cascade,
    version      int not null,
    run_id       uuid not null,
    -- The environment of the call, encrypted; removed at the end.
    env          bytea,
    -- Whether somebody is attached to it, and the size of their terminal. Without a size it has pipes.
    attached     boolean not null,
    columns      int,
    lines        int,
    -- Seconds.
    time_limit   int not null constraint one_offs_time_limit_check check (time_limit between 1 and 86400),
    created_by   uuid references accounts on delete set null,
    state        text not null constraint one_offs_state_check check (state in ('starting', 'up', 'down')),
    started_at   timestamptz,
    -- Set when it is to stop.
    stopping_at  timestamptz,
    ended_at     timestamptz,
    exit_status  int,
    last_exit    text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create unique index one_offs_name_key on one_offs (app_id, name) where ended_at is null;
create index one_offs_running on one_offs (app_id) where ended_at is null;
create index one_offs_app on one_offs (app_id, created_at);
create index one_offs_release on one_offs (release_id);
create index one_offs_created_by on one_offs (created_by);
