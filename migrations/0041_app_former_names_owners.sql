-- The names of a destroyed app stay reserved for its owner for a while: clients that still use them, such as a CI job,
-- would otherwise send code to whoever takes them next.

-- Rows outlive their app. Until it is destroyed, both columns are null, and its managers decide. They have no foreign
-- keys: a name whose owner is gone, too, must be nobody's, and not everybody's.
alter table app_former_names drop constraint app_former_names_app_fkey;
alter table app_former_names add owner_id uuid;
alter table app_former_names add team_id uuid;
create index app_former_names_owner on app_former_names (owner_id) where owner_id is not null;
create index app_former_names_team on app_former_names (team_id) where team_id is not null;
