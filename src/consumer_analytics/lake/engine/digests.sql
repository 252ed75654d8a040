-- Of each day how many rows there are, the sum of a digest of each, and the first one's time.
select day, count(*) as n, sum(cast({number} as decimal(38, 0))) as digest, min(us) as first_at
from (
    select
        day,
        us,
        substr(
            md5(
                event_id
                || coalesce(chr(31) || customer_id, chr(30))
                || coalesce(chr(31) || consumer_id, chr(30))
                || coalesce(chr(31) || event_type, chr(30))
                || coalesce(chr(31) || payload_json, chr(30))
                || chr(31) || cast(us as {text})
            ),
            1,
            15
        ) as hexadecimal
    from ({events}) as events
) as digested
group by day
