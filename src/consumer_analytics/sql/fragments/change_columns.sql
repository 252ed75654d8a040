consumer_id, slot, status, n, dated, created_us, born
