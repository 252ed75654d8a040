-- Events by consumer, type and day.
MODEL (
  name sqlmesh_models.event_counts,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column day
  ),
  start '2024-01-02',
  cron '@daily',
  grain (consumer_id, event_type, day)
);

SELECT
  consumer_id,
  event_type,
  (created_at AT TIME ZONE 'UTC')::DATE AS day,
  COUNT(*)::BIGINT AS events
FROM public.customer_events
WHERE created_at BETWEEN @start_tstz AND @end_tstz
GROUP BY 1, 2, 3;

JINJA_STATEMENT_BEGIN;
{% if runtime_stage == 'creating' %}
CREATE INDEX ON {{ this_model }} (day);
{% endif %}
JINJA_END;
