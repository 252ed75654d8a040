-- How far the counts reach now. Where nothing changes the version stays, and with it the
-- extracts made before.
update consumer_analytics_internal.state
set
    processed_through = %(until)s,
    restate_after = least(restate_after, %(after)s::timestamptz),
    customers_after = least(customers_after, %(customers_after)s::timestamptz),
    customers_of = case
        when %(customers_after)s::timestamptz is null then customers_of
        when customers_after is null then %(customers_of)s::uuid[]
        when customers_of is not null and %(customers_of)s::uuid[] is not null
            then array(select distinct unnest(customers_of || %(customers_of)s::uuid[]))
    end,
    customers_until = case when %(customers_after)s::timestamptz is null then customers_until else processed_through end,
    version = version + 1,
    -- What was counted of a day before the source's oldest row may be gone by the next look.
    oldest_seen = least(oldest_seen, %(corrected_from)s::timestamptz)
where job_name = {job}
    and (
        %(touched)s
        or %(corrected_from)s::timestamptz is not null
        or %(after)s::timestamptz is not null
        or %(customers_after)s::timestamptz is not null
        or processed_through is distinct from %(until)s::timestamptz
    )
