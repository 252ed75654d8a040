-- What becomes of customers: the statuses one goes through, in which share of 64.
-- CLOSED comes only with a deletion, in the same instant.
create temp table simulated_paths on commit drop as
select slot, statuses
from (
    values
        (array['ACTIVE'], 0, 17),
        (array['ACTIVE', 'INACTIVE'], 18, 26),
        (array['ACTIVE', 'INACTIVE', 'ACTIVE'], 27, 30),
        (array['PENDING_AML'], 31, 32),
        (array['PENDING_AML', 'ACTIVE'], 33, 43),
        (array['PENDING_AML', 'ACTIVE', 'INACTIVE'], 44, 48),
        (array['PENDING_AML', 'BLOCKED'], 49, 51),
        (array['PENDING_AML', 'INACTIVE', 'ACTIVE', 'BLOCKED'], 52, 53),
        (array['ACTIVE', 'BLOCKED'], 54, 56),
        (array['ACTIVE', 'BLOCKED', 'ACTIVE', 'INACTIVE', 'BLOCKED'], 57, 58),
        (array['INACTIVE'], 59, 60),
        (array['INACTIVE', 'ACTIVE', 'PENDING_AML', 'ACTIVE', 'BLOCKED', 'INACTIVE', 'ACTIVE'], 61, 63)
) as path (statuses, first_slot, last_slot)
cross join generate_series(first_slot, last_slot) as slot
