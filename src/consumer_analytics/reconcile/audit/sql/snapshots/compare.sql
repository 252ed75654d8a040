-- Of the rows that were put together: those that say something else than they must, are missing,
-- or are one too many.
select true_now.consumer_id::text, true_now.at, old.metrics_json::text, figures::text
from audit_figures as true_now
left join public.consumer_analytics as old
    on old.snapshot_timestamp = true_now.at
        and coalesce(old.consumer_id, '00000000-0000-0000-0000-000000000000')
        = coalesce(true_now.consumer_id, '00000000-0000-0000-0000-000000000000')
        and (old.consumer_id is null) = (true_now.consumer_id is null)
where old.metrics_json::text is distinct from figures::text
order by true_now.at, true_now.consumer_id nulls first
