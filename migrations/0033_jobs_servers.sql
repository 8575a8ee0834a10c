-- Which server runs a job, or receives an upload. A server that starts takes over at once what its own earlier process has
-- left, and leaves alone what other servers of the database are doing. What the server before this version has leased
-- has no server; it is taken over when its lease has expired.
alter table jobs add column server_id uuid;
alter table uploads add column server_id uuid;
