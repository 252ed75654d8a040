-- For a move by hand: where it is, locked until the transaction's end.
select last_processed_timestamp
from public.etl_job_watermarks
where job_name = {job}
for update
