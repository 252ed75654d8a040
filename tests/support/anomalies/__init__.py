"""Years of consumers whose rhythm is known, with what is odd put into some of them.

* `years`: the consumers, their days, and what happens to them: snapshots, made without events;
* `rates`: each day judged as the monitor does; what was told, how late, and what for nothing;
* `python -m tests.support.anomalies`: prints that for seeds that nobody has looked at.
"""
