-- Files of the archive's in an object store, and in a Delta table.

alter table consumer_analytics_internal.archived_files
    -- What the store says of its content, without reading it; NULL where it says nothing.
    add column etag text,
    -- The version of the Delta table that added it; NULL where it lies in a folder alone.
    add column version bigint check (version >= 0);
