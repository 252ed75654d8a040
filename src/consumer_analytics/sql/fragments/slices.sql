-- A range in as many slices as there may be points, each without its beginning; the first with it.
(
    select
        %(since)s::timestamptz + (%(until)s::timestamptz - %(since)s) * ((i - 1)::float8 / %(points)s)
            - interval '1 microsecond' * (i = 1)::int as begins,
        %(since)s::timestamptz + (%(until)s::timestamptz - %(since)s) * (i::float8 / %(points)s) as ends
    from generate_series(1, %(points)s::int) as i
)
