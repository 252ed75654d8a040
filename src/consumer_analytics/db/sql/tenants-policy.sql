create policy {policy} on {table} as restrictive to {tenant}
using (consumer_id = any ((select {own_consumers}())::uuid[]))
with check (false)
