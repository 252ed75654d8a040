-- Where there is nothing yet: what Alembic would make, and what is locked while it migrates.
create schema if not exists consumer_analytics_internal;
create table if not exists consumer_analytics_internal.alembic_version (
    version_num varchar(32) not null,
    constraint alembic_version_pkc primary key (version_num)
)
