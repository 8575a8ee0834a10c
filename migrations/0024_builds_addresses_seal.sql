-- Addresses of buildpacks and sources may hold passwords. What was in `buildpacks` and `source_url` as it was given is
-- sealed from now on, and those columns have it as everybody may see it. A row whose sealed column is null, or does
-- not belong to what is beside it, was written by the server before this one, which goes on reading and writing the
-- old columns; the platform seals such rows when it has started, and every hour.
alter table apps add column buildpacks_sealed bytea;
alter table builds
    add column buildpacks_sealed bytea,
    add column source_sealed bytea;
