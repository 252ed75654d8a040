-- Of each day how many rows there are, the sum of a digest of each, and the first one's time.
select
    (us - ((us % 86400000000) + 86400000000) % 86400000000) // 86400000000 as day,
    count(*) as n,
    sum(
        cast(
            '0x' || left(
                md5(
                    event_id
                    || coalesce(chr(31) || customer_id, chr(30))
                    || coalesce(chr(31) || consumer_id, chr(30))
                    || coalesce(chr(31) || event_type, chr(30))
                    || coalesce(chr(31) || payload_json, chr(30))
                    || chr(31) || us
                ),
                15
            ) as bigint
        )
    ) as digest,
    min(us) as first_at
from ({rows}) as rows
group by 1
