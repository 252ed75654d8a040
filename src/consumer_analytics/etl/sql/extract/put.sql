insert into consumer_analytics_internal.extracts (run_id, part, plan, figures)
values (%(run_id)s, %(part)s, %(plan)s, %(figures)s)
on conflict (run_id, part) do update set plan = excluded.plan, figures = excluded.figures
