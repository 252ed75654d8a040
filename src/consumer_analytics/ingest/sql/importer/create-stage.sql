-- Where a file's rows wait, with the line each began on.
create temp table {stage} (line bigint not null, {columns}) on commit drop
