-- Events by consumer, type and day. A batch reads its own day of the source, by `event_time`.
{{
    config(
        materialized='incremental',
        incremental_strategy='microbatch',
        event_time='day',
        begin='2024-01-02',
        batch_size=var('batch_size', 'day'),
        unique_key=['consumer_id', 'event_type', 'day'],
        indexes=[
            {'columns': ['consumer_id', 'event_type', 'day'], 'unique': true},
            {'columns': ['day']},
        ],
    )
}}

select
    consumer_id,
    event_type,
    date_trunc('day', created_at at time zone 'UTC') as day,
    count(*) as events
from {{ source('platform', 'customer_events') }}
group by 1, 2, 3
