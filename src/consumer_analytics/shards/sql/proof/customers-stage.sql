drop table if exists pg_temp.proof_customers;
create temporary table proof_customers (shard text, customer_id uuid)
