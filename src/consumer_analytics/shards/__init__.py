"""Several databases that together are the source: all work in each, and what is published of it.

* `addresses`: the file that names them;
* `sessions`: one for each, working at the same time, and the turn of whoever works over all;
* `joining`: which database is which, kept in each of them;
* `transfer`: rows handed over from one to another;
* `together`: rows of snapshots that the shards have, put together in the analytics database;
* `apart`: those of chosen consumers, at instants without a whole snapshot;
* `runs`, `backfills`, `repairs`, `removals`, `audits`, `standing`: what works over all of them;
* `summaries`: what runs in several shards tell, together;
* `proof`: that what is published is the sum of the shards.
"""
