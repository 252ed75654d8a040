-- Whether this login may make what `migrate` makes: a schema, and tables beside those of everybody.
select
    has_database_privilege(current_database(), 'create')
    and has_schema_privilege('public', 'create')
