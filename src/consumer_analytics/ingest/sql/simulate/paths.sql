-- What becomes of customers: the statuses one goes through, in which share of 64.
-- CLOSED comes only with a deletion, in the same instant.
create temp table simulated_paths on commit drop as
select slot, statuses
from (
    values
        (array[{active}], 0, 17),
        (array[{active}, {inactive}], 18, 26),
        (array[{active}, {inactive}, {active}], 27, 30),
        (array['PENDING_AML'], 31, 32),
        (array['PENDING_AML', {active}], 33, 43),
        (array['PENDING_AML', {active}, {inactive}], 44, 48),
        (array['PENDING_AML', 'BLOCKED'], 49, 51),
        (array['PENDING_AML', {inactive}, {active}, 'BLOCKED'], 52, 53),
        (array[{active}, 'BLOCKED'], 54, 56),
        (array[{active}, 'BLOCKED', {active}, {inactive}, 'BLOCKED'], 57, 58),
        (array[{inactive}], 59, 60),
        (array[{inactive}, {active}, 'PENDING_AML', {active}, 'BLOCKED', {inactive}, {active}], 61, 63)
) as path (statuses, first_slot, last_slot)
cross join generate_series(first_slot, last_slot) as slot
