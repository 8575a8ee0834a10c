-- What was wanted of process types that the current release does not have: it counts again when a
-- release has them. Apart from `formation`, so that the server before this one starts none of them.
create table former_formation (
    id         uuid primary key,
    app_id     uuid not null references apps on delete cascade,
    type       text not null,
    quantity   int not null constraint former_formation_quantity_check check (quantity between 0 and 100),
    size       text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint former_formation_type_key unique (app_id, type)
);
