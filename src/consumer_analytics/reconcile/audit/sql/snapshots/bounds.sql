-- The instants and the starts of their windows.
select at from audit_scopes
union
select window_start from audit_scopes where window_start is not null
union
select unnest(%(instants)s::timestamptz[])
order by 1
