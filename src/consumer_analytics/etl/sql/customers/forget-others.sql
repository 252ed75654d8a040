-- Others had some of these customers too: theirs are not all there are.
delete from pg_temp.extracted_customers
where (consumer_id = any(%(consumers)s::uuid[])) is not true
