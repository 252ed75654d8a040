-- Notes rows that stand `apart`: of another window than the whole system's row, or with none
-- beside them.
insert into consumer_analytics_internal.written_apart as written
    (snapshot_timestamp, window_start, snapshot_source, consumers)
select snapshot_timestamp, window_start::timestamptz, snapshot_source, array_agg(consumer_id)
from apart
group by snapshot_timestamp, window_start::timestamptz, snapshot_source
order by snapshot_timestamp
on conflict (snapshot_timestamp, window_start, snapshot_source) do update
set consumers = array(select distinct unnest(written.consumers || excluded.consumers))
