-- When each component was last heard of, the liveliest where there are several. One
-- that ended by itself says so.
select distinct on (wanted.job_type)
    wanted.job_type,
    job.hostname,
    job.latest_heartbeat,
    case when job.state = 'running' then extract(epoch from now() - job.latest_heartbeat)::float8 end
from unnest(%(kinds)s::text[]) as wanted (job_type)
left join {job} as job on job.job_type = wanted.job_type
order by wanted.job_type, coalesce(job.state = 'running', false) desc, job.latest_heartbeat desc nulls last
