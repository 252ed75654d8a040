update consumer_analytics_internal.runs
set
    state = 'success',
    finished_at = clock_timestamp(),
    -- And where it left the watermark, which one that went back to an old instant does not move.
    summary = %(summary)s::jsonb || jsonb_build_object('watermark', %(to)s::timestamptz)
where run_id = %(run_id)s
