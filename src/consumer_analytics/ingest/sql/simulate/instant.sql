-- A moment of a consumer's rhythm time, with the hour of the week that it falls
-- into, as an instant (microseconds since 1970).
floor(
    3600000000.0::float8 * (
        168 * floor(rhythm) + hour - 1 + 96 - hours_ahead
        + (rhythm - floor(rhythm) - (%(weekly)s::float8[])[hour])
        / ((%(weekly)s::float8[])[hour + 1] - (%(weekly)s::float8[])[hour])
    )
)::bigint
