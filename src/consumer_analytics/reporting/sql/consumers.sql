-- Which consumers a page of the table shows, and how many match in all. One figure of
-- each is looked at, to sort by; all others are read for the page's rows alone.
with standing as materialized (
    -- Narrow from here on: the documents would fill the memory that sorts.
    select snapshot.consumer_id, {figure} as figure
    from public.consumer_analytics as snapshot
    {named}
    where snapshot.snapshot_timestamp = %(at)s
        and snapshot.consumer_id is not null
        and (%(only)s::uuid[] is null or snapshot.consumer_id = any (%(only)s))
        and {found}
),

-- Read only where the change is what is sorted by.
earlier as materialized (
    select snapshot.consumer_id, {figure} as figure
    from public.consumer_analytics as snapshot
    {named}
    where snapshot.snapshot_timestamp = %(before)s and snapshot.consumer_id is not null
)

select consumer_id, (select count(*) from standing) as matching
from standing
{compared}
order by {ranked} {direction} nulls last, consumer_id
limit %(size)s
offset %(offset)s
