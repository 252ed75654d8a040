-- The snapshots at some instants, as they are to be written, beside what is there.
create temporary table rendered_snapshots on commit drop as
{rendered}
