-- What told a life may be gone from the source, and nobody has looked yet whether that is a loss or a
-- correction: it goes on telling. Judged are the days that were just looked at, what was never
-- counted, what somebody has accepted, and what capture saw changed.
changes_seen as materialized (
    select note.customer_id, note.event_at::date as day
    from consumer_analytics_internal.touched_customers as note
    join told on told.customer_id = note.customer_id and told.at = note.event_at
),

unjudged as materialized (
    select
        life.*,
        ended_by = 'event'
        and deleted_at < (select processed_through from consumer_analytics_internal.state where job_name = {job})
        and not {end_is_judged}
        and (customer_id, deleted_at::date) not in (select customer_id, day from changes_seen)
        and deleted_at::date not in (
            select day from consumer_analytics_internal.changed_events where event_type = {customer_deletion}
        )
        and not exists (
            select from consumer_analytics_internal.accepted_events as accepted
            where accepted.event_type = {customer_deletion}
                and accepted.since <= deleted_at
                and accepted.until > deleted_at
                and accepted.until <= deleted_at::date + 1
        ) as has_end,
        coalesce(
            {birth_is_unjudged},
            false
        ) as has_birth,
        coalesce(
            reborn_from = 'creation'
            and reborn_at < (select processed_through from consumer_analytics_internal.state where job_name = {job})
            and not {return_is_judged}
            and (customer_id, reborn_at::date) not in (select customer_id, day from changes_seen)
            and reborn_at::date not in (
                select day from consumer_analytics_internal.changed_events where event_type = {customer_creation}
            )
            and not exists (
                select from consumer_analytics_internal.accepted_events as accepted
                where accepted.event_type = {customer_creation}
                    and accepted.since <= reborn_at
                    and accepted.until > reborn_at
                    and accepted.until <= reborn_at::date + 1
            ),
            false
        ) as has_return,
        -- Which event told its owner or its last status is not kept: none of before its end was judged.
        deleted_at < (select processed_through from consumer_analytics_internal.state where job_name = {job})
        and deleted_at < {first_judged}::timestamptz
        and customer_id not in (select customer_id from changes_seen) as has_words
    from consumer_analytics_internal.deleted_customers as life
    where customer_id in (select customer_id from pg_temp.concerned_customers)
)
