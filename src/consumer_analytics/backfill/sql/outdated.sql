-- From which instant on what this backfill read may be outdated: counts were
-- corrected, or rows from after what runs had taken in were taken in since.
select least(
    backfill.changed_after,
    case when state.processed_through > %(known)s::timestamptz then %(known)s::timestamptz end
)
from consumer_analytics_internal.backfills as backfill
cross join consumer_analytics_internal.state
where backfill.backfill_id = %(id)s and state.job_name = {job}
