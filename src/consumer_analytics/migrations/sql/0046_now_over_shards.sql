-- Where figures are put together from several databases there are no rows: the figures of this moment
-- (0025) were zeros there, and said to be settled. They are refused.
create or replace function consumer_analytics_internal.figures_now()
returns table (
    consumer_id uuid,
    snapshot_timestamp timestamptz,
    settled_to timestamptz,
    unsettled_because text,
    metrics_json jsonb
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set standard_conforming_strings = 'on'
set array_nulls = 'on'
set transform_null_equals = 'off'
set row_security = 'off'
set jit = 'off'
set work_mem = '64MB'
-- What the session would have the server tell of statements, such as their plans, is not its own.
set client_min_messages = 'error'
as $$
#variable_conflict use_column
declare
    -- As whom the session asks; within this function the server says the owner.
    asker text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
    is_limited boolean;
    began timestamptz := clock_timestamp();
    settled record;
    answer record;
begin
    if exists (select from consumer_analytics_internal.federation where federation.role = 'analytics') then
        raise exception using
            errcode = 'feature_not_supported',
            message = 'the figures of this moment are in each shard: this database has what they published, and no rows';
    end if;
    select exists (
        select
        from pg_policy
        cross join unnest(pg_policy.polroles) as held (role)
        join pg_roles as login on login.rolname in (session_user, asker)
        where pg_policy.polrelid = 'public.consumer_analytics'::regclass
            and not pg_policy.polpermissive
            and not login.rolsuper
            and (held.role = 0 or pg_has_role(login.oid, held.role, 'usage'))
    ) into is_limited;
    begin
        perform set_config('transaction_read_only', 'on', true);
        -- First who is writing, then what is there.
        settled := consumer_analytics_internal.settled();
        return query
        select found.consumer_id, found.snapshot_timestamp, settled.settled_to, settled.reason, found.metrics_json
        from consumer_analytics_internal.figures_at(
            began, case when is_limited then consumer_analytics_internal.own_consumers() end
        ) as found;
    exception
        -- Said anew, in a line: what the server adds is the statement, and may quote a row of
        -- somebody else's.
        when query_canceled or feature_not_supported then
            raise exception using errcode = sqlstate, message = sqlerrm;
        when others then
            if is_limited then
                raise exception 'the figures of this moment cannot be read (%); the operator sees why', sqlstate;
            end if;
            raise exception using errcode = sqlstate, message = sqlerrm;
    end;
end
$$;
