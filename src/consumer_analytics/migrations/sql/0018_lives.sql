-- What is remembered of customers whose life has ended: one row for the end of each life, so
-- that their past is told when their row is gone, and when events have been purged. What the
-- rows of earlier versions say of a birth was kept without saying whence: it is looked up again.
alter table consumer_analytics_internal.deleted_customers
    -- `event`: a deletion event tells of the end; `row`: capture saw the row go.
    add ended_by text not null default 'event' check (ended_by in ('event', 'row')),
    -- Where created_at, the birth, is known from. NULL: nobody has looked yet. `nothing`: creation
    -- events have vanished, so the customer counts at every instant that can be recounted.
    add born_from text check (born_from in ('row', 'creation', 'event', 'deletion', 'nothing')),
    add consumer_id uuid,
    add consumer_from text check (consumer_from in ('row', 'deletion', 'lifecycle', 'event', 'nothing')),
    -- What the customer was in the last stretch of that life.
    add status text,
    -- When the next life began, of a customer that came back: its creation event, or when
    -- capture saw the row come back. NULL: it did not.
    add reborn_at timestamptz;
comment on column consumer_analytics_internal.deleted_customers.deleted_at is
    'The end of the life: the deletion event''s created_at, or when capture saw the row go.';
comment on column consumer_analytics_internal.deleted_customers.created_at is
    'The birth of the life.';
