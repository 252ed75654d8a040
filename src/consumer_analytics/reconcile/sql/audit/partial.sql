-- A backfill of chosen consumers writes no other consumer's row, and none of the whole system.
delete from audit_figures as figures
where snapshot_timestamp = any(%(partial)s::timestamptz[])
    and not exists (
        select
        from public.consumer_analytics as kept
        where kept.snapshot_timestamp = figures.snapshot_timestamp
            and kept.consumer_id = figures.consumer_id
    )
