insert into consumer_analytics_internal.sharded_runs
    (run_key, snapshot_source, requested_at, reached_at, named, held_back_by, watermark)
values (%(key)s, %(source)s, %(requested)s, %(reached)s, %(named)s, %(held_back_by)s, %(watermark)s)
returning pass_id
