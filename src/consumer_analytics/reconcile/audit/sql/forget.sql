drop table if exists
pg_temp.audit_scopes, pg_temp.audit_events, pg_temp.audit_marks, pg_temp.audit_others, pg_temp.audit_lives,
pg_temp.audit_steps, pg_temp.audit_births, pg_temp.audit_owners, pg_temp.audit_figures, pg_temp.audit_changes,
pg_temp.audit_carried, pg_temp.audit_rest, pg_temp.audit_arrivals;
drop aggregate if exists pg_temp.audit_merged(jsonb), pg_temp.audit_sum(bigint)
