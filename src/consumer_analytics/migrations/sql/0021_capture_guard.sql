-- A trigger of ours that fails must not fail the application's statement. What it would have
-- noted is unknown then, so it notes that everything is to be counted again.
--
-- Each of capture's functions as it is now is put into a block that does so. A later migration that
-- replaces one of them calls this again at its end. What passes through as it is: the end of a
-- statement or a session that somebody asks for, and what a writer is told to try again (serialization
-- failures and deadlocks). Where even the note cannot be written, the statement fails: in silence
-- the row would be lost.
create function consumer_analytics_internal.guard_capture() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $guard$
declare
    watcher record;
begin
    for watcher in
        select pg_get_functiondef(oid) as definition, prosrc
        from pg_proc
        where pronamespace = 'consumer_analytics_internal'::regnamespace
            and proname like 'capture\_%'
            and prorettype = 'trigger'::regtype
            and prosrc not like '%capture_trial%'
    loop
        execute replace(
            watcher.definition,
            watcher.prosrc,
            -- A column of the source may have the name of a variable.
            E'\n#variable_conflict use_variable\nbegin\n' || trim(E'\n' from watcher.prosrc) || $$;
exception
    when query_canceled or admin_shutdown or crash_shutdown or transaction_rollback then
        raise;
    when others then
        -- Before the triggers are put in place they are tried: then it should be seen.
        if current_setting('consumer_analytics.capture_trial', true) = 'on' then
            raise;
        end if;
        insert into consumer_analytics_internal.touched_days (day) values ('-infinity');
        raise log 'consumer_analytics: capture could not note a change of %.% (%): %; the next run counts everything again',
            tg_table_schema, tg_table_name, sqlstate, sqlerrm;
        return null;
end
$$
        );
    end loop;
end
$guard$;

revoke all on function consumer_analytics_internal.guard_capture from public;

select consumer_analytics_internal.guard_capture();
