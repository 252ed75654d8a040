-- What was before the changes of one microsecond (0018). One that is alone says it, also where it leads from
-- a status to itself: that several lead back to where they began changes nothing.
create or replace function consumer_analytics_internal.chain_start(olds text[], news text[], follows text)
returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    starts text[];
    start text;
    place int;
    reached text;
    used boolean[];
begin
    if cardinality(olds) = 1 then
        return olds[1];
    end if;
    -- Where changes leave more often than they arrive, a chain begins.
    select array_agg(status order by first)
    into starts
    from (
        select status, min(number) filter (where way = 1) as first
        from (
            select status, number, 1 as way
            from unnest(olds) with ordinality as old (status, number)
            union all
            select status, number, -1
            from unnest(news) with ordinality as new (status, number)
        ) as ends
        group by status
        having sum(way) > 0
    ) as surplus;
    if cardinality(starts) > 1 then
        -- Several chains: the one that leads to what follows comes last.
        foreach start in array starts loop
            reached := start;
            used := array_fill(false, array[cardinality(olds)]);
            loop
                place := (
                    select min(number)
                    from generate_subscripts(olds, 1) as number
                    where not used[number] and olds[number] = reached
                );
                exit when place is null;
                used[place] := true;
                reached := news[place];
            end loop;
            if reached is distinct from follows then
                return start;
            end if;
        end loop;
    end if;
    return starts[1];
end
$$;
