-- 60 bits of a digest of an event, all of what the archive keeps of it. NULL is none of the texts.
('x' || left(
    md5(convert_to(
        event_id::text
        || coalesce(chr(31) || customer_id::text, chr(30))
        || coalesce(chr(31) || consumer_id::text, chr(30))
        || coalesce(chr(31) || event_type::text, chr(30))
        || coalesce(chr(31) || payload_json::text, chr(30))
        || chr(31) || (extract(epoch from created_at::timestamptz) * 1000000)::bigint::text,
        'UTF8'
    )),
    15
))::bit(60)::bigint
