-- Why a release failed, and who cancelled its release phase. The server before this one neither writes nor reads it.
alter table releases add error text;

-- The queue of release phases looks for the few that are pending among all releases there ever were.
create index releases_pending on releases (created_at) where status = 'pending';
