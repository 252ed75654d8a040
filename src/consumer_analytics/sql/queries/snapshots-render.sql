-- The snapshots at a plan's instants, as they are to be written.
create temporary table rendered_snapshots on commit drop as
{consumers}
union all
{whole}
