-- Nothing moves: status, instant and error only.
update public.etl_job_watermarks
set last_run_status = 'failed', last_run_at = clock_timestamp(), metadata_json = %(failure)s
where job_name = {job}
