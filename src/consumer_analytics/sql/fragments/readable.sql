-- Whether PostgreSQL reads a payload: in a column of type json a text may be written as what is none
-- in a database, U+0000 or half a surrogate pair, and whoever asks for any key is told an error. Whole
-- pairs, and backslashes that are meant as such, are taken out first.
pg_typeof(payload_json) = 'jsonb'::regtype
or strpos(payload_json::text, '\u') = 0
or regexp_replace(payload_json::text, '\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]', ' ', 'g')
!~ '\\u(0000|[dD][89a-fA-F])'
