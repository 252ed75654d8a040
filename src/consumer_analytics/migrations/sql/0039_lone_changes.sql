-- A change of status that is alone in its microsecond says what was before it, also one that leads from a
-- status to itself: that several of one microsecond lead back to where they began changes nothing.
do $do$
declare
    definition text := pg_get_functiondef(
        'consumer_analytics_internal.chain_start(text[], text[], text)'::regprocedure
    );
    was constant text := $$begin
    -- Where changes leave$$;
    is_now constant text := $$begin
    if cardinality(olds) = 1 then
        return olds[1];
    end if;
    -- Where changes leave$$;
begin
    if strpos(definition, was) = 0 then
        raise exception 'the order of changes is not as an earlier migration made it: %', was;
    end if;
    execute replace(definition, was, is_now);
end
$do$;
