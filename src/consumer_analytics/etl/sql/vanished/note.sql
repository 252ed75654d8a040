-- Note what has vanished, and what came back to where some had.
with vanished as (
    insert into consumer_analytics_internal.vanished_events as noted
        (consumer_id, event_type, since, until, n, noted_by)
    select consumer_id, event_type, since, until, n, %(by)s
    from event_placed
    where sign = 1
    on conflict (consumer_id, event_type, since, until) do update
    set n = noted.n + excluded.n, noted_at = excluded.noted_at, noted_by = excluded.noted_by
),

-- A note may be of a part of the stretch, where the instant between has been thinned since.
returned as (
    select distinct on (placed.consumer_id, placed.event_type, placed.since)
        noted.ctid as place,
        placed.n
    from event_placed as placed
    join consumer_analytics_internal.vanished_events as noted
        on noted.since >= placed.since
        and noted.until <= placed.until
        and noted.event_type = placed.event_type
        and noted.consumer_id is not distinct from placed.consumer_id
    where placed.sign = -1
    order by placed.consumer_id, placed.event_type, placed.since, noted.since
),

came_back as (
    update consumer_analytics_internal.vanished_events as noted
    set came_back = noted.came_back + returned.n
    from returned
    where noted.ctid = returned.place
    returning returned.n
),

state as (
    update consumer_analytics_internal.state
    set vanished = state.vanished + new.n
    from (select sum(n) as n from event_placed where sign = 1) as new
    where job_name = {job} and new.n > 0
)

select
    coalesce((select sum(n) from event_placed where sign = 1), 0)::bigint as noted,
    coalesce((select sum(n) from came_back), 0)::bigint as came_back
