-- A life that ended is worked out from all events of its customer, looked up by it. The index that
-- was made here has the creation events alone: each run with a deletion read all events. On a table
-- of ours that is empty it is made anew; of others the doctor asks, as it would hold writers up.
do $$
declare
    source_schema text := current_setting('consumer_analytics.source_schema');
    ours regclass := to_regclass(format('%I.customer_events_creation_idx', source_schema));
    is_empty boolean;
begin
    if ours is null
        or pg_get_indexdef(ours) not like '%(customer_id, created_at) WHERE (event_type = ''customer_creation''::text)'
    then
        return;
    end if;
    execute format('select not exists (select from %I.customer_events)', source_schema) into is_empty;
    if is_empty then
        execute format('create index customer_events_customer_idx on %I.customer_events (customer_id)', source_schema);
        execute format('drop index %s', ours);
    end if;
end
$$;
