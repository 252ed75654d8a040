-- The latest runs, the newest first, with how long each of the engine's steps took.
select run_key, {run_state} as state, opened_at, finished_at, summary -> 'seconds'
from consumer_analytics_internal.runs as run
order by opened_at desc
limit %(limit)s
