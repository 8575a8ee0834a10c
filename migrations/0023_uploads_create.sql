-- Who is writing to an address for uploads: two at once would each keep an archive, and only one of them would count.
-- A row goes with the upload; one that is not renewed any more was left by a server that was killed, and is taken
-- over. The server before this one knows of none, and asks nobody.
create table uploads (
    -- The slug or the source.
    id         uuid primary key,
    -- Who writes, so that one whose place was taken over notices.
    writer     uuid not null,
    created_at timestamptz not null,
    -- When it was renewed.
    updated_at timestamptz not null
);
-- Archives without a row are looked for.
create index slugs_checksum on slugs (checksum);
