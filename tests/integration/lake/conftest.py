"""The archive: tested where the extra `lake` is. `tests/e2e/test_lake.py` makes such a place."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("duckdb") and find_spec("pyarrow") else ["test_*.py"]
