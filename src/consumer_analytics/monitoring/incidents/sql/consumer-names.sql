-- The names of some consumers.
select consumer_id, name::text
from {consumers} as known
where consumer_id = any(%(consumers)s) and name is not null
