"""Airflow from outside: its tables, its commands, its API, and what they print.

What changes with the next Airflow is here, behind typed answers, but for what imports it:
our DAGs (`dags`), what their callbacks and assets are (`orchestration`), and the page in its
web server (`web`).

* `dag_ids`: our DAGs and their tasks, by the names under which Airflow knows them;
* `processes`: the processes that it is made of;
* `states`: what it calls the states of runs and tasks;
* `metadata_tables`: where Airflow's tables are, for those that read them:
    * `components`: when each of its processes was last heard of,
    * `dags`: what Airflow knows of our DAGs and of their files,
    * `pauses`: which DAGs are paused, and by whom,
    * `dag_runs`: runs and how long their tasks took, and runs that do not go well;
* `command`, `command_lines`: Airflow's command, run here or shown to people;
* `api`: its web server;
* `configuration`: the files that an Airflow of ours is set up with;
* `task_logs`: where tasks write, and what failed in there;
* `preload`, `readiness`: what its scheduler does when it starts;
* `upkeep`: removing metadata and logs that are old enough.
"""
