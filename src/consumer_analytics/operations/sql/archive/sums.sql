-- What a file of these rows must have: how many, and the sum of their digests.
select count(*), coalesce(sum(digest), 0)
from pg_temp.archiving
