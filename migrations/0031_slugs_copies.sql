-- A release has a slug of its own app. One that was released from another app could not be removed with that app, and
-- its archive was removed although a release needed it: each app that has released it gets a copy.
create temporary table copies on commit drop as
    select gen_random_uuid() as id, r.app_id, r.slug_id as original
    from releases r join slugs s on s.id = r.slug_id
    where s.app_id <> r.app_id
    group by r.app_id, r.slug_id;

insert into slugs (id, app_id, checksum, size, process_types, buildpack_description, commit, commit_description, stack,
                   fault, refused, created_at, updated_at)
    select c.id, c.app_id, s.checksum, s.size, s.process_types, s.buildpack_description, s.commit,
           s.commit_description, s.stack, s.fault, s.refused, s.created_at, s.updated_at
    from copies c join slugs s on s.id = c.original;

update releases r set slug_id = c.id from copies c where c.app_id = r.app_id and c.original = r.slug_id;

alter table slugs add constraint slugs_id_app_id_key unique (id, app_id);
alter table releases drop constraint releases_slug_id_fkey;
alter table releases add constraint releases_slug_fkey
    foreign key (slug_id, app_id) references slugs (id, app_id) on delete restrict;
