-- Instants at which everything was written, and where the windows of each begin.
select at, bool_or(consumers is null), min(window_start)
from audit_scopes
group by at
