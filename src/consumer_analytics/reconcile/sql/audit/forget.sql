drop table if exists pg_temp.audit_events, pg_temp.audit_customers, pg_temp.audit_figures
