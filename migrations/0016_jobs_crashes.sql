-- A job during which the server ends again and again is given up: how often it did is counted apart from the
-- attempts that failed. The server before this one counts nothing here, which is generous.
alter table jobs add crashes int not null default 0;
