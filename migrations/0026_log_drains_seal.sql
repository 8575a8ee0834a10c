-- Addresses of log drains may hold passwords, and whoever has a drain's token can write as the app. Both are sealed
-- from now on; `url` and `token` have fingerprints, by which a drain is found and is there once. A row whose sealed
-- column is null was written by the server before this one; the platform seals such rows when it has started, and
-- every hour.
alter table log_drains add column sealed bytea;
