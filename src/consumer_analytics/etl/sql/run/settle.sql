-- Runs whose process is gone without a word.
update consumer_analytics_internal.runs as run
set state = 'interrupted',
    summary = '{{"error_type": "Killed", "error": "its process ended without a word"}}'
where run.state = 'open' and {run_state} = 'interrupted'
