select
    (select count(*) from consumer_analytics_internal.touched_days),
    (select count(*) from consumer_analytics_internal.touched_customers),
    (select count(distinct writer) from consumer_analytics_internal.capture_unsure),
    case
        when last_value = -62135596800000000 then '-infinity'
        else timestamptz 'epoch' + last_value * interval '1 microsecond'
    end
from consumer_analytics_internal.capture_threshold
