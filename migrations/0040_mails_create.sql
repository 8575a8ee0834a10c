-- E-mail: the server that sends it, and the messages about invitations.

create table mail_servers (
    id         integer primary key constraint mail_servers_one_check check (id = 1),
    host       text not null,
    port       integer not null constraint mail_servers_port_check check (port between 1 and 65535),
    tls        text not null constraint mail_servers_tls_check check (tls in ('starttls', 'tls', 'none')),
    username   text,
    -- Encrypted.
    password   bytea,
    sender     text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- The text is rendered when a message is sent, from what it is about. If that is gone, because the invitation was
-- cancelled or the collaborator removed, nothing is sent; but the row stays, since it counts towards the limits.
create table mails (
    id                 uuid primary key,
    kind               text not null constraint mails_kind_check
                       check (kind in ('team_invitation', 'collaborator', 'app_transfer')),
    sent_by            uuid not null constraint mails_sent_by_fkey references accounts on delete cascade,
    recipient          text not null,
    team_invitation_id uuid constraint mails_team_invitation_fkey references team_invitations on delete set null,
    collaborator_id    uuid constraint mails_collaborator_fkey references collaborators on delete set null,
    app_transfer_id    uuid constraint mails_app_transfer_fkey references app_transfers on delete set null,
    state              text not null constraint mails_state_check
                       check (state in ('pending', 'sent', 'failed', 'cancelled')),
    -- The answer to the last attempt that failed.
    error              text,
    attempts           integer not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null
);
create index mails_sent_by on mails (sent_by, created_at);
create index mails_recipient on mails (lower(recipient), created_at);
create index mails_created_at on mails (created_at);
create index mails_team_invitation on mails (team_invitation_id);
create index mails_collaborator on mails (collaborator_id);
create index mails_app_transfer on mails (app_transfer_id);
