-- The first values that cannot be taken, and how many there are in all.
select staged.line, field.name, field.value, field.kind, count(*) over ()
from {stage} as staged
cross join lateral (values {fields}) as field (place, name, value, kind, filled)
where
    case
        when field.value is null then field.filled
        else not pg_temp.consumer_analytics_is_valid(field.value, field.kind, %(time)s)
    end
order by staged.line, field.place
limit %(limit)s
