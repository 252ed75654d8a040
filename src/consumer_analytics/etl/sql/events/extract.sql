-- The extract of the events, in a table of this session, for which PostgreSQL reads
-- them in parallel where they are many.
create temporary table extracted_events on commit drop as
{counted}
