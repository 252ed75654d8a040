-- Those of some consumers that are registered here.
select consumer_id
from {consumers} as consumers
where consumer_id = any(%(consumers)s::uuid[])
