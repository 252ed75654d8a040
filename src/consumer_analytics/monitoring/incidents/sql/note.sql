-- A change of an incident, and the mail that tells of it.
with noted as (
    insert into consumer_analytics_internal.incident_changes
        (incident_id, at, what, state, cause, measures, mail_id)
    values (%(incident_id)s, %(at)s, %(what)s, %(state)s, %(cause)s, %(measures)s, %(mail_id)s)
    returning incident_id, at, mail_id
)

update consumer_analytics_internal.incidents
set told_at = noted.at
from noted
where incidents.incident_id = noted.incident_id and noted.mail_id is not null
