-- How far the counts reach now. Where nothing changes the version stays, and with it the
-- extracts made before.
update consumer_analytics_internal.state
set
    processed_through = %(until)s,
    purged_before = %(purged)s,
    restate_after = least(restate_after, %(after)s::timestamptz),
    version = version + 1
where job_name = {job}
    and (
        %(touched)s
        or %(after)s::timestamptz is not null
        or (processed_through, purged_before) is distinct from (%(until)s::timestamptz, %(purged)s::timestamptz)
    )
