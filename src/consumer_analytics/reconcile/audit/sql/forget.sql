drop table if exists
pg_temp.audit_scopes, pg_temp.audit_events, pg_temp.audit_marks, pg_temp.audit_others, pg_temp.audit_lives,
pg_temp.audit_steps, pg_temp.audit_births, pg_temp.audit_owners, pg_temp.audit_figures, pg_temp.audit_changes,
pg_temp.audit_carried, pg_temp.audit_rest, pg_temp.audit_arrivals, pg_temp.audit_wanted, pg_temp.audit_filed,
pg_temp.audit_filed_days, pg_temp.audit_filed_ids, pg_temp.audit_filed_counts, pg_temp.audit_strays,
pg_temp.audit_eventful, pg_temp.audit_uneventful;
drop aggregate if exists pg_temp.audit_merged(jsonb), pg_temp.audit_sum(bigint)
