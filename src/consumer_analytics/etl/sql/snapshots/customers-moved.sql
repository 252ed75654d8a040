-- In slot 1 what came before as well.
select consumer_id, greatest(slot, 1) as slot, status, n, dated, created_us, born
from {extracted_customers} as extracted
