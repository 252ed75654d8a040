-- Whether PostgreSQL takes a text for a value; pg_input_is_valid came with 16.
create function pg_temp.consumer_analytics_is_valid(value text, kind text, of_time text) returns boolean
language plpgsql
as $$
begin
    case kind
        when 'uuid' then perform value::uuid;
        when 'jsonb' then perform value::jsonb;
        when 'timestamptz' then
            -- PostgreSQL would take much else, such as 'now' or 'UTC+2'; see csv_reader.
            return value ~ of_time and value::timestamptz >= '0001-01-01 00:00:00+00';
        else null;
    end case;
    return true;
exception
    when others then
        return false;
end
$$
