delete from audit_scopes
where at <> all(%(instants)s::timestamptz[])
