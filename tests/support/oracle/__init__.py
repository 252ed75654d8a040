"""A slow, obviously right recount of a snapshot, in plain Python.

It shares no code with the engine. It takes the definitions literally, one customer after the
other and one event after the other:

- `lives`: the lives of a customer, from its row, its events and what is remembered of it;
- `figures`: a snapshot, from all lives, all events and what was noted as vanished;
- `reading`: the source tables, and what the product wrote;
- `world`: what is remembered and noted, worked out from the steps of a history instead of
  being read from the product's own tables.

Where the definitions leave a choice, this is the reading:

- Of several creation events in one life, the first tells the birth, and the next one after T
  tells the status between the birth and itself.
- "No change says otherwise" means: no readable change anywhere in that life.
- A change of the microsecond in which a life ends belongs to that life, also where the next
  life begins in the same microsecond.
- Before a customer's first deletion a life was open where its row, what is remembered of it or
  any event of its is older.
- A `created_at` from before the last deletion tells nothing of the lives that are over.
- Evidence for a life that is over (its creation, its earliest event, its consumer) is looked for
  after the end of the life before it.
- A status of NULL in the row is `(none)`; in a payload it cannot be read.
- An event tells a birth also where creation events of the consumer have vanished; only where
  there is no event but the deletion does nothing tell it.
- What events told of the birth of a customer whose row has no time, they go on telling once they
  have vanished, as those of a deleted one do.
- A life that goes on without a row, and whose end nobody saw, did not take place.
- An event is of the consumer that it names, also a vanished one: that consumer's figures stay.
"""

from tests.support.oracle.figures import snapshot, without_window
from tests.support.oracle.lives import LIFECYCLE, NONE, Customer, End, Event, Life, Row, lives_of
from tests.support.oracle.reading import Sources, stored

__all__ = [
    "LIFECYCLE",
    "NONE",
    "Customer",
    "End",
    "Event",
    "Life",
    "Row",
    "Sources",
    "lives_of",
    "snapshot",
    "stored",
    "without_window",
]
