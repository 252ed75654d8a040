-- The ids that the files of some days have.
create temporary table archived_ids (event_id uuid not null) on commit drop
