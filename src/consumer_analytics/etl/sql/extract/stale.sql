-- Runs whose extracts nobody will load: this one's, when it is done, and those
-- that ended or were given up without a load.
select extract.run_id
from consumer_analytics_internal.extracts as extract
left join consumer_analytics_internal.runs as run using (run_id)
where extract.run_id = %(run_id)s
    or run.state is distinct from 'open'
    or run.opened_at < now() - interval '7 days'
