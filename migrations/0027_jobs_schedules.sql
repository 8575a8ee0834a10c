-- Jobs wait without a worker, report progress and can be cancelled; schedules enqueue them. The previous version of the
-- server ignores all of it: it does not stop cancelled jobs, and runs waiting ones when their time has come.
alter table jobs
    add schedule            text,
    add progress            double precision constraint jobs_progress_check check (progress between 0 and 1),
    add note                text constraint jobs_note_check check (length(note) <= 200),
    add waits_for           text constraint jobs_waits_for_check check (length(waits_for) <= 200),
    -- Its current or next wait ends immediately.
    add woken               boolean not null default false,
    add cancel_requested_at timestamptz,
    add started_at          timestamptz,
    add updated_at          timestamptz not null default now(),
    drop constraint jobs_state_check,
    add constraint jobs_state_check check (state in ('pending', 'running', 'succeeded', 'failed', 'cancelled'));
create index jobs_by_kind on jobs (kind, id);
create index jobs_by_change on jobs (updated_at);

-- The program's schedules, written at startup. Each due time enqueues one job.
create table schedules (
    id         uuid primary key,
    name       text not null constraint schedules_name_key unique,
    about      text not null,
    cron       text not null,
    -- An IANA time zone name.
    zone       text not null,
    kind       text not null,
    subject    uuid not null,
    params     jsonb not null,
    -- Null if there is no further due time.
    next_at    timestamptz,
    last_at    timestamptz,
    last_job   uuid constraint schedules_last_job_fkey references jobs on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index schedules_due on schedules (next_at);
create index schedules_by_last_job on schedules (last_job);
