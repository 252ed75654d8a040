-- A lifecycle event whose payload says nothing: a change that does not tell the old status, and
-- anything that is no object, such as JSON that was written as a string.
case
    when event_type::text = {customer_status_change} then payload_json ->> {old_status_key} is null
    else (payload_json::text ~ '^\s*\{{') is not true
end
