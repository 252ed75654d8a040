-- Slots of which a consumer has several rows; NULL where types stand apart.
select
    case
        when not exists (select from backfill_counted where rest is not null)
            then array(
                select distinct slot
                from (
                    select slot
                    from backfill_counted
                    group by consumer_id, slot
                    having count(*) > 1
                ) as several
            )
    end
