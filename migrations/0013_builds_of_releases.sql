-- The list of apps says of each newest release what its commit says.
create index builds_release_idx on builds (release_id);
