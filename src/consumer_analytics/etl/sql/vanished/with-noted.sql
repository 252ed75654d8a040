(
    select {event_columns}
    from {extracted_events} as extracted
    union all
    select {event_columns}
    from noted_events
)
