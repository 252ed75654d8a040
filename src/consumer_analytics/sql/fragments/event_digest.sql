-- A hash of what an event is counted under within its day: its consumer and its type, each hashed with the
-- other, so that two that change places are told apart.
hashtextextended(event_type collate "C", coalesce(uuid_hash_extended(consumer_id, 0), 1))
