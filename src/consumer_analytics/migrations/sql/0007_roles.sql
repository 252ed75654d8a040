-- Which consumers a tenant's login may read. A login cannot write here, and cannot
-- choose who it is: neither SET ROLE nor a setting changes session_user.
create table consumer_analytics_internal.tenants (
    login regrole not null,
    consumer_id uuid not null,
    added_at timestamptz not null default now(),
    added_by text not null default session_user,
    primary key (login, consumer_id)
);

-- What the tenants' policy asks, once per query. It runs as its owner, so that a tenant
-- needs no right on the table, and answers for nobody but the session's own login.
create function consumer_analytics_internal.own_consumers() returns uuid[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(array_agg(tenants.consumer_id), '{}')
    from consumer_analytics_internal.tenants
    join pg_catalog.pg_roles on pg_roles.oid = tenants.login::oid
    where pg_roles.rolname = session_user;
end;
revoke all on function consumer_analytics_internal.own_consumers() from public;

-- Row-level security is on for everybody, and limits nobody until `consumer-analytics
-- roles` adds the policy that limits the members of the tenants' role. A grant on the
-- table decides, as before; this condition costs nothing.
alter table public.consumer_analytics enable row level security;
alter table public.consumer_analytics_revisions enable row level security;
create policy everybody on public.consumer_analytics using (true) with check (true);
create policy everybody on public.consumer_analytics_revisions using (true) with check (true);
