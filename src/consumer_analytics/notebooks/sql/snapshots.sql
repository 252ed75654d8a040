-- A flat view's rows, in the order in which they were.
select {columns}
from {view}
where {condition}
order by snapshot_timestamp, analytics_id
