-- A provider speaks for the addresses of its domains, and for no others: `*` stands for every domain. One that
-- had none was believed about every address; now it says so.
update identity_providers p set domains = '{*}'
where domains = '{}' and not exists (select 1 from identity_rules r where r.provider_id = p.id and r.domain is not null);

alter table identity_providers
    -- Whether an address of its domains is enough for an account.
    add admits boolean not null default true,
    -- The scope that brings groups, where it is not the usual one.
    add groups_scope text;

-- A sign-in that was begun by somebody who is signed in, to link another identity to their account.
alter table sign_in_attempts add account_id uuid references accounts on delete cascade;

-- Identities that wait for the owner of the account to say that they are theirs.
create table identity_proposals (
    id          uuid primary key,
    account_id  uuid not null references accounts on delete cascade,
    provider_id uuid not null references identity_providers on delete cascade,
    subject     text not null,
    email       text,
    expires_at  timestamptz not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
create index identity_proposals_account on identity_proposals (account_id);
