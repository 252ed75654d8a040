-- The names of some consumers.
select consumer_id, name::text
from {consumers}
where consumer_id = any(%(consumers)s) and name is not null
