-- All shards read from one watermark on, which is the one that people see and set.
update public.etl_job_watermarks
set last_processed_timestamp = %(to)s::timestamptz
where job_name = {job} and last_processed_timestamp <> %(to)s::timestamptz
