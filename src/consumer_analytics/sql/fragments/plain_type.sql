-- Whether an event type is counted under its own name, as far as that is seen at once: nearly all begin
-- with a letter and are short. What others are counted under is no such name.
event_type::text collate "C" >= '!'
and event_type::text collate "C" < '~'
and octet_length(event_type::text) <= 200
and event_type::text <> '(none)'
