-- A range in so many slices, each without its beginning; the first with it.
(
    select
        %(since)s::timestamptz + (%(until)s::timestamptz - %(since)s) * ((i - 1)::float8 / %(slices)s)
            - interval '1 microsecond' * (i = 1)::int as begins,
        %(since)s::timestamptz + (%(until)s::timestamptz - %(since)s) * (i::float8 / %(slices)s) as ends
    from generate_series(1, %(slices)s::int) as i
)
