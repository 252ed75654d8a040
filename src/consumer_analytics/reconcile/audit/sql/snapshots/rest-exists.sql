-- Whether there are types, and statuses, without a column.
select
    exists (select from audit_changes where rest_types is not null),
    exists (select from audit_changes where rest_statuses is not null)
