-- Whether events have types without a column.
select exists (select from audit_events where events {named} <> 0)
