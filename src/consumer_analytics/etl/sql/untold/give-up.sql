-- What waits to be told is told by computing all snapshots since again.
with gone as (
    delete from consumer_analytics_internal.untold_events
    returning day
)

update consumer_analytics_internal.state
set restate_after = least(restate_after, since.at)
from (select min(day)::timestamptz as at from gone) as since
where job_name = {job} and since.at is not null
