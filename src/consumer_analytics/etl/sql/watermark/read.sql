select
    last_processed_timestamp,
    last_run_at,
    last_run_status,
    records_processed,
    metadata_json,
    clock_timestamp()
from public.etl_job_watermarks
where job_name = {job}
{lock}
