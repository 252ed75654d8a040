-- What the latest look at a measure found, and since when it is in this state.
insert into consumer_analytics_internal.checks (name, state, value, cause, checked_at, since)
values (%(name)s, %(state)s, %(value)s, %(cause)s, %(at)s, %(at)s)
on conflict (name) do update set
    state = excluded.state,
    value = excluded.value,
    cause = excluded.cause,
    checked_at = excluded.checked_at,
    since = case when checks.state = excluded.state then checks.since else excluded.since end
