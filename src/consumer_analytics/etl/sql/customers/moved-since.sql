-- Whether anything has happened to a customer from an instant on: whether there is anything
-- to undo. It sees at least what customers-undone looks at.
select exists (
    select
    from {customer_events}
    where created_at >= %(first)s::timestamptz
        and event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and customer_id is not null
)
