-- Rows that say something else than they must, are missing, or are one too many.
select consumer_id::text, at, kept::text, figures::text
from (
    select
        coalesce(old.consumer_id, true_now.consumer_id) as consumer_id,
        coalesce(old.snapshot_timestamp, true_now.at) as at,
        old.metrics_json as kept,
        true_now.figures
    from (
        select consumer_id, snapshot_timestamp, metrics_json
        from public.consumer_analytics
        where snapshot_timestamp = any(%(instants)s::timestamptz[])
    ) as old
    full join audit_figures as true_now
        on true_now.at = old.snapshot_timestamp
            and coalesce(true_now.consumer_id, '00000000-0000-0000-0000-000000000000')
            = coalesce(old.consumer_id, '00000000-0000-0000-0000-000000000000')
            and (true_now.consumer_id is null) = (old.consumer_id is null)
) as compared
where kept is distinct from figures
order by at, consumer_id nulls first
