"""Days of `customer_events` that were archived: files outside the database.

Each day has one owner: the archive up to a day, the source table from there. What the archive has
is said by a manifest in the database; files are read by DuckDB, in this process, and only where
counts by the day do not tell.

* `folder`: where the files are, and whether they are the manifest's;
* `manifest`: what the database knows of them;
* `engine`: reading them;
* `loading`: what an engine answers into PostgreSQL, and PostgreSQL's rows out of it, as CSV;
* `writing`: a file.
"""
