consumer_id, day, slot, event_type, n, fresh
