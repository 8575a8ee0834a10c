-- A job is work that must finish even if the server stops half-way.
create table jobs (
    id          uuid primary key,
    kind        text not null,
    subject     uuid not null,
    params      jsonb not null,
    state       text not null default 'pending' constraint jobs_state_check
                check (state in ('pending', 'running', 'succeeded', 'failed')),
    attempt     int not null default 0,
    run_at      timestamptz not null default now(),
    lease       uuid,
    lease_until timestamptz,
    error       text,
    created_at  timestamptz not null default now(),
    finished_at timestamptz
);
-- At most one unfinished job of a kind per subject.
create unique index jobs_unfinished on jobs (kind, subject) where state in ('pending', 'running');
create index jobs_due on jobs (run_at) where state in ('pending', 'running');

-- What a job has already done. A step recorded here never runs again.
create table job_steps (
    job         uuid not null references jobs on delete cascade,
    name        text not null,
    output      jsonb not null,
    finished_at timestamptz not null default now(),
    primary key (job, name)
);
