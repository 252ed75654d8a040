update public.etl_job_watermarks
set
    last_processed_timestamp = %(to)s,
    last_run_at = clock_timestamp(),
    last_run_status = 'success',
    records_processed = %(records)s,
    metadata_json = %(summary)s
where job_name = {job}
