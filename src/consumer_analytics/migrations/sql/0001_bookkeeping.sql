-- Which migrations this database has, each recorded in its own transaction.
create table consumer_analytics_internal.migrations (
    version text primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default current_user,
    product_version text not null
);
