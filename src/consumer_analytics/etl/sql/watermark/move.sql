insert into public.etl_job_watermarks (job_name, last_processed_timestamp, last_run_status, metadata_json)
values ({job}, %(to)s, 'pending', %(metadata)s)
on conflict (job_name) do update set
    last_processed_timestamp = excluded.last_processed_timestamp,
    last_run_status = excluded.last_run_status,
    metadata_json = excluded.metadata_json
