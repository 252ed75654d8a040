-- Prepared transactions, each with the latest instant known to precede its
-- beginning: before it was prepared, some run saw nothing older than that open.
with others_tables as (
    {others_tables}
)

select
    prepared.gid,
    coalesce(prepared.owner, '(dropped)') as owner,
    prepared.prepared,
    coalesce(({begun_after})::timestamptz, '-infinity') as begun_after
from pg_prepared_xacts as prepared
left join pg_roles as login on login.rolname = prepared.owner
where prepared.database = current_database()
    -- The owner of a transaction can have been dropped since.
    and coalesce(prepared.owner <> all (%(ignored_roles)s::text[]), true)
    and (
        {may_write}
        -- Its owner is who it was prepared as, which SET ROLE decides; who wrote before that may have been
        -- another. What was written to stays locked.
        or exists (
            select from pg_locks as itself
            join pg_locks as held using (virtualtransaction)
            where itself.locktype = 'transactionid'
                and itself.transactionid = prepared.transaction
                and itself.pid is null
                and held.pid is null
                and held.locktype = 'relation'
                and held.mode not in ('AccessShareLock', 'RowShareLock')
        )
    )
order by begun_after
