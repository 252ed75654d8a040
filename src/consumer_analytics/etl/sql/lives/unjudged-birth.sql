-- Whether nobody has judged yet if what told a birth is there, has vanished or was corrected.
born_from in ('creation', 'event')
and created_at < (select processed_through from consumer_analytics_internal.state where job_name = {job})
and not {is_judged}
and (customer_id, created_at::date) not in (select customer_id, day from changes_seen)
and created_at::date not in (
    select day from consumer_analytics_internal.changed_events where event_type = {customer_creation}
)
and (
    born_from <> 'event'
    or created_at::date not in (select day from consumer_analytics_internal.changed_events)
)
and not exists (
    select from consumer_analytics_internal.accepted_events as accepted
    where accepted.since <= created_at
        and accepted.until > created_at
        and accepted.until <= created_at::date + 1
        and (born_from = 'event' or accepted.event_type = {customer_creation})
)
