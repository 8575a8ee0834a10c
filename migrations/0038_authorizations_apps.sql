-- Tokens for machines, and apps that machines know by an earlier name.

-- The apps that a deploy token is for; null for tokens that are not limited to particular apps. Ids of apps that are
-- gone do no harm, since ids are not reused: a token whose apps are all gone can do nothing.
alter table oauth_authorizations add apps uuid[];

-- After a rename, clients that still use the earlier name, such as the git remote of a CI job, find the app for a while.
-- An app that has the name now takes precedence, and removes the row.
create table app_former_names (
    name text primary key,
    app_id uuid not null constraint app_former_names_app_fkey references apps on delete cascade,
    created_at timestamptz not null
);
create index app_former_names_app on app_former_names (app_id);
