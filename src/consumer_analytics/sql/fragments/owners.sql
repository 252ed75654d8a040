-- Consumers that have a snapshot: the unique index is walked from one to the next.
owners (consumer_id) as (
    (
        select consumer_id
        from public.consumer_analytics
        where consumer_id is not null
        order by consumer_id
        limit 1
    )
    union all
    select (
        select next.consumer_id
        from public.consumer_analytics as next
        where next.consumer_id > owners.consumer_id
        order by next.consumer_id
        limit 1
    )
    from owners
    where owners.consumer_id is not null
)
