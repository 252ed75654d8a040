-- A hash of a revision as it was written: whoever edits one does not change the sum that is noted.
hash_record_extended(
    (
        analytics_id, consumer_id, snapshot_timestamp, metrics_json::text, reported_from, reported_until,
        reason
    ),
    0
)
