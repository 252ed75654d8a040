-- The type that an event is counted under: its own; where that is blank (none); where it is too
-- long for an index its first 200 characters and a digest of the whole, which tells it from others
-- that begin the same.
case
    when event_type::text ~ '\S' is not true then '(none)'
    when char_length(event_type::text) > 200
        then
            left(event_type::text, 200)
            || ' #' || left(encode(sha256(convert_to(event_type::text, 'UTF8')), 'hex'), 16)
    else event_type::text
end
