update public.etl_job_watermarks
set last_run_status = %(status)s
where job_name = {job}
