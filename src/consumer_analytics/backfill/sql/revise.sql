update consumer_analytics_internal.backfills
set periods = %(periods)s
where backfill_id = %(id)s
