-- What an owner has on the disk is bounded as a whole, with what no other quota counts: slugs of releases. Nobody has
-- this quota set, so the default holds.
alter table quotas drop constraint quotas_kind_check;
alter table quotas add constraint quotas_kind_check check (kind in
    ('apps', 'dynos', 'memory_mb', 'pending_builds', 'upload_bytes', 'repository_bytes', 'disk_bytes', 'teams',
     'service_accounts'));
