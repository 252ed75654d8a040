drop table if exists pg_temp.proof_rows;
create temporary table proof_rows (
    shard text,
    consumer_id uuid,
    at timestamptz,
    document jsonb
) on commit drop
