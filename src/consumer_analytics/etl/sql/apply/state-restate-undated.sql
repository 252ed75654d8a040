-- The birth of a customer whose row has no time is told by events of any kind: where some may have
-- come, gone or moved, who there was since is to be asked again.
update consumer_analytics_internal.state
set restate_after = least(restate_after, %(since)s::timestamptz)
where job_name = {job}
    and case
        when 'customers' in ({maybe_undated}) then exists (select from {customers} as customers where created_at is null)
    end
