-- The latest runs, the newest first, with how long each of the engine's steps took.
select run_key, state, opened_at, finished_at, summary -> 'seconds'
from consumer_analytics_internal.runs
order by opened_at desc
limit %(limit)s
