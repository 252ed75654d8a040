-- Whether PostgreSQL takes a text for a value; pg_input_is_valid came with 16.
create function pg_temp.consumer_analytics_is_valid(value text, kind text) returns boolean
language plpgsql
as $$
begin
    case kind
        when 'uuid' then perform value::uuid;
        when 'jsonb' then perform value::jsonb;
        when 'timestamptz' then
            -- 'now', 'infinity' and '01/02/2025' would do for PostgreSQL.
            return substr(value, 5, 1) = '-'
                and substr(value, 8, 1) = '-'
                and value::timestamptz >= '0001-01-01 00:00:00+00';
        else null;
    end case;
    return true;
exception
    when others then
        return false;
end
$$
