-- Since when the end of a life is known: a snapshot that was reported before may count the customer.
-- NULL: since before that was noted.
alter table consumer_analytics_internal.deleted_customers add if not exists known_since timestamptz;
alter table consumer_analytics_internal.deleted_customers alter known_since set default now();
comment on column consumer_analytics_internal.deleted_customers.known_since is
    'When this end of the life was taken in.';

-- What the row of a customer said when a deletion was taken in that it contradicts, as it was still there:
-- without capture nobody sees it go, and no event may tell when it began.
create table if not exists consumer_analytics_internal.contradicted_deletions (
    customer_id uuid not null,
    deleted_at timestamptz not null,
    created_at timestamptz,
    consumer_id uuid,
    -- Another life has begun since, while the row was there: of that one it tells.
    is_followed boolean not null default false,
    primary key (customer_id, deleted_at)
);

-- Who remembers ended lives writes it.
do $$
declare
    role text;
begin
    for role in
        select distinct acl.grantee::regrole::text
        from pg_class as class
        cross join lateral aclexplode(class.relacl) as acl
        where class.oid = 'consumer_analytics_internal.deleted_customers'::regclass
            and acl.privilege_type = 'UPDATE'
            and acl.grantee not in (0, class.relowner)
    loop
        execute 'grant select, insert, update, delete on consumer_analytics_internal.contradicted_deletions to ' || role;
    end loop;
end
$$;
