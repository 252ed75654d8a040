select consumer_id::text, name::text
from {consumers} as consumers
where consumer_id = any (%(consumers)s::uuid[])
