#!/usr/bin/env bash
# DuckDB 2.0.1 for Python: Ctrl-C in a query is a RuntimeError that nothing tells from others.
#
# What hears SIGINT in Python code raises KeyboardInterrupt, and DuckDB has a class of its own for a
# query that was interrupted, `duckdb.InterruptException`, which `connection.interrupt()` raises. Seen:
# on Ctrl-C `fetchall()` and Arrow's reader raise `RuntimeError: Query interrupted`, with no cause and no
# context. It is no `duckdb.Error`, so neither `except KeyboardInterrupt` nor `except duckdb.Error` takes
# it: a program that ends well on Ctrl-C elsewhere ends in a traceback, with exit code 1 instead of
# the signal's, and the words alone tell it from another RuntimeError.
#
# Exits with 0 where that is still so, with 1 where it has changed.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cat > stop.py <<'PYTHON'
import os
import signal
import threading
import time

import duckdb

LONG = "select count(*) from range(40_000_000_000) where hash(range) % 7 = 3"


def stopped(do, stop):
    """Return what a query raises that somebody stops half a second after it began."""
    later = threading.Timer(0.5, stop)
    later.start()
    try:
        do()
    except BaseException as error:
        return error
    finally:
        later.join()


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


seen = {}
with duckdb.connect() as session:
    for name, do, stop in [
        ("fetchall", lambda: session.sql(LONG).fetchall(), ctrl_c),
        ("arrow", lambda: session.sql(LONG).to_arrow_reader().read_all(), ctrl_c),
        ("interrupt()", lambda: session.sql(LONG).fetchall(), session.interrupt),
    ]:
        error = stopped(do, stop)
        kinds = [kind for kind in (KeyboardInterrupt, duckdb.Error) if isinstance(error, kind)]
        seen[name] = (type(error).__name__, [kind.__name__ for kind in kinds])
        print(f"{name}: {type(error).__name__}: {error}; cause {error.__cause__!r}, {seen[name][1]}")
    # Python's own code, for comparison.
    error = stopped(lambda: [time.sleep(0.01) for _ in range(500)], ctrl_c)
    print(f"python: {type(error).__name__}")
assert seen["fetchall"] == seen["arrow"] == ("RuntimeError", []), "Ctrl-C raises something else"
assert seen["interrupt()"] == ("InterruptException", ["Error"]), "interrupt() raises something else"
assert isinstance(error, KeyboardInterrupt)
PYTHON
env/bin/python stop.py
