-- Apps' users lay among the ids that Debian gives to users' containers (/etc/subuid, from 100000 on)
-- and systemd to its own, so a container's root could be an app's user. They move to where nobody
-- gives out ids: server/dyno/src/uids.rs says which range that is and why. What apps have on disk
-- goes over to the new user when the server starts; dynos that run keep the old one until they end.
alter sequence app_uids maxvalue 2147352575 start 2013331456 restart;

update apps set uid = nextval('app_uids');

alter table apps add constraint apps_uid_check check (uid between 2013331456 and 2147352575);
