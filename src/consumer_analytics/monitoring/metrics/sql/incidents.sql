-- Open incidents by what is not well; one that names no measure counts for its subject. Of what is
-- odd with a consumer the kind counts, not the type of its events.
select coalesce(measure.name, incident.subject) as measure, coalesce(measure.state, incident.state) as state, count(*)
from consumer_analytics_internal.incidents as incident
left join lateral (
    select
        case when incident.subject like 'consumer %' then split_part(key, ' ', 1) else key end as name,
        value ->> 'state' as state
    from jsonb_each(incident.measures)
) as measure on true
where closed_at is null
group by 1, 2
