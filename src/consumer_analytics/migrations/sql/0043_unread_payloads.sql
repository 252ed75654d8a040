-- The figures of this moment (0025), as runs and audits tell them: a payload that PostgreSQL does not read
-- tells nothing. In a column of type json a text may be written as what is none in a database, U+0000 or half
-- a surrogate pair, and whoever asks for any key is told an error. Whole pairs, and backslashes that are
-- meant as such, are taken out first.
do $do$
declare
    definition text := pg_get_functiondef('consumer_analytics_internal.figures_at(timestamptz, uuid[])'::regprocedure);
    is_read constant text := $$(
            pg_typeof(payload_json) = 'jsonb'::regtype
            or strpos(payload_json::text, '\u') = 0
            or regexp_replace(payload_json::text, '\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]', ' ', 'g')
            !~ '\\u(0000|[dD][89a-fA-F])'
        )$$;
    change record;
begin
    if strpos(definition, is_read) > 0 then
        return;
    end if;
    for change in
        select *
        from (
            values
                ('= %11$L then payload_json ->> %16$L', '= %11$L and ', ' then payload_json ->> %16$L'),
                ('= %11$L then payload_json ->> %17$L', '= %11$L and ', ' then payload_json ->> %17$L'),
                ('<> %11$L then payload_json ->> %15$L', '<> %11$L and ', ' then payload_json ->> %15$L')
        ) as changes (was, asked, answered)
    loop
        if strpos(definition, change.was) = 0 then
            raise exception 'the figures of this moment are not as an earlier migration made them: %', change.was;
        end if;
        definition := replace(definition, change.was, change.asked || is_read || change.answered);
    end loop;
    execute definition;
end
$do$;
