drop table if exists pg_temp.proof_apart;
create temporary table proof_apart (
    shard text,
    consumer_id uuid,
    at timestamptz,
    window_start timestamptz
) on commit drop
