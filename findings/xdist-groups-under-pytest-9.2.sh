#!/usr/bin/env bash
# pytest-xdist 3.8.0 under pytest 9.2.0: `--dist=loadgroup` groups nothing, and says nothing.
#
# Documented: tests with the same `xdist_group` mark run on one worker. Seen: they are spread over
# all workers. xdist tells its scheduler of a group by setting the item's `_nodeid`; in pytest 9.2.0
# `nodeid` is made from another attribute, so that the group's name never arrives.
# With pytest 9.0.2 the same tests, run the same way, stay on one worker.
#
# Exits with 0 where that is still so, with 1 where it has changed.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
unset PYTEST_ADDOPTS PYTEST_PLUGINS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv old && python3 -m venv new
old/bin/python -m pip install --quiet --disable-pip-version-check pytest==9.0.2 pytest-xdist==3.8.0
new/bin/python -m pip install --quiet --disable-pip-version-check pytest==9.2.0 pytest-xdist==3.8.0
cat > test_group.py <<'PYTHON'
import os
import pathlib
import time

import pytest

pytestmark = pytest.mark.xdist_group("one worker")


@pytest.mark.parametrize("n", range(12))
def test_it(n):
    time.sleep(0.1)
    with pathlib.Path(os.environ["WORKERS_FILE"]).open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON

workers() {
    WORKERS_FILE="$work/$1.txt" "$1/bin/python" -m pytest -q -p no:cacheprovider \
        -n 3 --dist=loadgroup test_group.py > "$1.log"
    sort -u "$1.txt" | wc -l
}

before=$(workers old)
now=$(workers new)
echo "12 tests of one group ran on: pytest 9.0.2: $before worker(s); pytest 9.2.0: $now worker(s)"
[ "$before" -eq 1 ] && [ "$now" -gt 1 ]
