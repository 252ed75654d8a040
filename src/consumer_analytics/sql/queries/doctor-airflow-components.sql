-- When each component was last heard of, the liveliest where there are several.
select distinct on (wanted.job_type)
    wanted.job_type,
    job.hostname,
    job.latest_heartbeat,
    extract(epoch from now() - job.latest_heartbeat)::float8
from unnest(array['SchedulerJob', 'DagProcessorJob', 'TriggererJob']) as wanted (job_type)
left join {job} as job on job.job_type = wanted.job_type
order by wanted.job_type, job.latest_heartbeat desc nulls last
