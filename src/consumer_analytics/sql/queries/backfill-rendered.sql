create temporary table rendered_snapshots on commit drop as
{rendered}
