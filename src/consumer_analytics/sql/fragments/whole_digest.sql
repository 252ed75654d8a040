-- A hash of what the whole system's row says: only one that is as it was written is added to.
case
    when jsonb_typeof(metrics_json) = 'object'
        then jsonb_hash_extended(metrics_json - '{{snapshot_source,etl_job}}'::text[], 0)
end
