"""What the dashboard and its API ask: paged, bounded, and read from as few rows as are shown.

* `ranges`: which stretch of time is looked at, and what it is compared with;
* `changes`: which snapshots the changes over it are between;
* `series`: figures over time, of the system, of a consumer;
* `comparison`: figures over time of several consumers, side by side;
* `standing`: where things stand now, and the change against the period before;
* `consumers`: the searchable, sortable table, and who a consumer is;
* `freshness`: measures, lag, runs, incidents, backfills;
* `digest`: what a week was like, for a mail.
"""
