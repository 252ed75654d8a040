-- What the operator is told: the state of each check, incidents and their history, the
-- mails that go out, and deadlines that were missed.

-- What the last pass of the monitor found, one row for each measure.
create table consumer_analytics_internal.checks (
    name text primary key,
    state text not null check (state in ('normal', 'unknown', 'warning', 'critical')),
    value double precision,
    cause text,
    checked_at timestamptz not null,
    -- Since when it has been in this state.
    since timestamptz not null
);

-- What goes out, or has gone out. A row is one mail: written in the transaction that
-- finds something to tell, locked by whoever sends it, sent once.
create table consumer_analytics_internal.mails (
    mail_id bigint generated always as identity primary key,
    -- The same thing is told once, whoever notices it.
    key text not null unique,
    content jsonb not null,
    created_at timestamptz not null,
    attempts int not null default 0,
    next_try_at timestamptz not null,
    sent_at timestamptz,
    subject text,
    last_error text
);
create index mails_waiting_idx on consumer_analytics_internal.mails (next_try_at)
    where sent_at is null;

-- A time in which something was not well. What belongs together is one incident.
create table consumer_analytics_internal.incidents (
    incident_id bigint generated always as identity primary key,
    -- `freshness`, `failures`, `runtime`, `measuring`, or `dag <id>` for the other DAGs.
    subject text not null,
    opened_at timestamptz not null,
    closed_at timestamptz,
    -- Now, and the worst that was told.
    state text not null check (state in ('warning', 'critical')),
    worst text not null check (worst in ('warning', 'critical')),
    cause text not null,
    -- Name to {state, value, cause}: what is not well now.
    measures jsonb not null,
    told_at timestamptz
);
-- Two monitors cannot open the same one twice.
create unique index incidents_open_idx on consumer_analytics_internal.incidents (subject)
    where closed_at is null;
create index incidents_opened_at_idx on consumer_analytics_internal.incidents (opened_at);

-- Appended at each change of an incident; never changed.
create table consumer_analytics_internal.incident_changes (
    change_id bigint generated always as identity primary key,
    incident_id bigint not null references consumer_analytics_internal.incidents,
    at timestamptz not null,
    what text not null check (
        what in ('opened', 'worse', 'changed', 'better', 'reminded', 'failed again', 'over')
    ),
    state text not null,
    cause text not null,
    measures jsonb not null,
    -- The mail that tells of it; none where nobody is to be told.
    mail_id bigint references consumer_analytics_internal.mails
);
create index incident_changes_incident_idx
    on consumer_analytics_internal.incident_changes (incident_id, change_id);

-- Tasks of our DAGs that failed after their last retry.
create table consumer_analytics_internal.task_failures (
    dag_id text not null,
    run_id text not null,
    task_id text not null,
    try_number int not null,
    failed_at timestamptz not null,
    execution_date timestamptz not null,
    error text not null,
    log_url text,
    mail_id bigint references consumer_analytics_internal.mails,
    primary key (dag_id, run_id, task_id, try_number)
);
create index task_failures_failed_at_idx on consumer_analytics_internal.task_failures (failed_at);

-- DAG runs that had not ended when their deadline passed. Kept when Airflow cleans up.
create table consumer_analytics_internal.deadline_misses (
    dag_id text not null,
    run_id text not null,
    task_id text,
    execution_date timestamptz not null,
    deadline_at timestamptz not null,
    noticed_at timestamptz not null,
    primary key (dag_id, run_id, deadline_at)
);

-- Under the name and with the columns that Airflow 2 had.
create view public.sla_miss as
select task_id, dag_id, execution_date, deadline_at as "timestamp"
from consumer_analytics_internal.deadline_misses;
comment on view public.sla_miss is
    'DAG runs that missed their deadline; timestamp is the deadline, task_id the task they were at.';
