-- What a token made goes with it: tokens that one with an end of its own made, and links to sign in that nobody has
-- used yet.
alter table oauth_authorizations add parent_id uuid
    constraint oauth_authorizations_parent_fkey references oauth_authorizations on delete cascade;
create index oauth_authorizations_parent on oauth_authorizations (parent_id) where parent_id is not null;
alter table sign_in_links add authorization_id uuid
    constraint sign_in_links_authorization_fkey references oauth_authorizations on delete cascade;
create index sign_in_links_authorization on sign_in_links (authorization_id) where authorization_id is not null;
