"""Write what is made from the code: the reference, alerting rules and Grafana's dashboard.

python tools/reference.py            write them, and the links by which the package has the pages
python tools/reference.py --check    exit 1 where a page is not what would be written
"""

from __future__ import annotations

import dataclasses
import html
import inspect
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from consumer_analytics.db import roles as db_roles
from consumer_analytics.db import schema as db_schema
from consumer_analytics.db.roles import AppliedRoles
from consumer_analytics.fields import Secret, described
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.monitoring.metrics import catalogue, dashboards
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials

_PREAMBLE = (
    "All settings are environment variables that begin with `CONSUMER_ANALYTICS_`. One that is "
    "none of these is refused, so that a typo does not go unnoticed.\n\nA file that holds a secret "
    "should be its owner's alone (`chmod 600`): the command that reads one which others could read "
    "warns of it, and `doctor` names them all."
)
_API_PREAMBLE = """\
What the dashboard shows, as JSON and as CSV, at `/api/v1/` beside its pages; described for programs
at `/api/v1/openapi.json`. Only reads. `Authorization: Bearer ca_…` unless the server asks nobody
([serve](../how-to/serve.md)); in Airflow, Airflow's own token.

```console
$ curl -H "Authorization: Bearer $TOKEN" 'http://127.0.0.1:8082/api/v1/system?range=7d'
$ curl -H "Authorization: Bearer $TOKEN" -OJ 'http://127.0.0.1:8082/api/v1/consumers.csv?search=bank'
```

Times are ISO 8601, in UTC. A range ends at the latest snapshot (of freshness: now), or is given by
`from` and `to`. A page has 200 rows at most, a chart 400 points; a range with more snapshots is
*sampled*: each point is the last snapshot of its slice of the time, with the events since the point
before. A CSV file has every snapshot of its range; it is UTF-8 with a header, and text that a
spreadsheet would take for a formula begins with an
apostrophe. What goes wrong is `{"detail": "one line"}`: 401 without valid credentials, 403 for what
a tenant's token may not see, 404, 413 and 414 for what is
[too large](../how-to/serve.md#what-it-bears), 422 for a parameter that cannot be used, 503 where
the database is not there, is busy, or took too long. Why it is not stands in the server's log,
and in no answer to others."""
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Where the package has them, for `consumer-analytics docs`.
PACKAGED = ROOT / "src" / "consumer_analytics" / "docs"
ROLES_PAGE = "docs/reference/roles.md"


def command_line() -> str:
    """Return the page of the command line, as Typer describes it."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "typer",
            "consumer_analytics.cli.commands",
            "utils",
            "docs",
            "--name",
            "consumer-analytics",
            "--title",
            "The command line",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return _with_whole_sentences(html.unescape(done.stdout)).rstrip() + "\n"


def _with_whole_sentences(page: str) -> str:
    """Give lists of commands each one's whole first paragraph, which Typer cuts, and a link."""
    paragraphs = {
        name: " ".join(paragraph.split())
        for name, paragraph in re.findall(
            r"^#+ `([^`]+)`\n\n(.+?)\n\n", page, re.MULTILINE | re.DOTALL
        )
    }
    lines = []
    section = "consumer-analytics"
    for line in page.splitlines():
        if heading := re.fullmatch(r"#+ `([^`]+)`", line):
            section = heading[1]
        if item := re.fullmatch(r"\* `([a-z]\w*)`: .*", line):
            name = f"{section} {item[1]}"
            anchor = name.replace(" ", "-")
            lines.append(f"* [`{item[1]}`](#{anchor}): {paragraphs[name]}")
        else:
            lines.append(line)
    return "\n".join(lines)


def settings() -> str:
    """Return the page of the settings: each a heading, to link to, with meaning and default."""
    lines = ["# Settings", "", _PREAMBLE]
    for field in dataclasses.fields(Settings):
        name, default = field.name, field.default
        if name == "home":
            shown = "`consumer-analytics` in the user's data directory"
        elif default is None or default == "":
            shown = "none"
        elif isinstance(default, float):
            shown = f"`{default:g}`"
        else:
            shown = f"`{default}`"
        lines += ["", f"## {name.upper()}", "", f"`{PREFIX}{name.upper()}` · default: {shown}"]
        lines += ["", described(field).description]
    return "\n".join(lines) + "\n"


def http_api() -> str:
    """Return the page of the HTTP API, from its own description."""
    told = create_app(Settings(home=Path()), authenticator=NoCredentials()).openapi()
    lines = [
        "# The HTTP API",
        "",
        *_API_PREAMBLE.splitlines(),
        "",
        "| address | what |",
        "|---|---|",
        *(f"| `{path}` | {one['get']['summary']} |" for path, one in told["paths"].items()),
        "",
        "## Parameters",
        "",
        "| parameter | of | values | meaning |",
        "|---|---|---|---|",
    ]
    parameters: dict[tuple[str, str, str], list[str]] = {}
    for path, one in told["paths"].items():
        for parameter in one["get"].get("parameters", []):
            key = (
                parameter["name"],
                _values(parameter["schema"]),
                parameter.get("description", "The consumer's id."),
            )
            parameters.setdefault(key, []).append(path.removeprefix("/api/v1/"))
    for (name, values, meaning), paths in parameters.items():
        of = ", ".join(f"`{path}`" for path in paths if not path.endswith(".csv"))
        lines.append(f"| `{name}` | {of or ', '.join(paths)} | {values} | {meaning} |")
    for name, schema in sorted(told["components"]["schemas"].items()):
        meanings = _meanings(schema.get("description", ""))
        if not schema.get("properties"):
            continue
        lines += [
            "",
            f"## {name}",
            "",
            meanings[""],
            "",
            "| field | type | meaning |",
            "|---|---|---|",
        ]
        for field, kind in schema["properties"].items():
            meaning = meanings.get(field) or kind.get("description", "")
            lines.append(f"| `{field}` | {_kind(kind)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    shown = _kind(schema)
    if "minimum" in schema:
        shown += f", {schema['minimum']:,} to {schema['maximum']:,}"
    if schema.get("default") not in {None, ""}:
        shown += f"; `{schema['default']}`"
    return shown


def _kind(schema: dict[str, Any]) -> str:
    """Return a JSON schema's type as people read it."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"{_kind(values)} by name" if isinstance(values, dict) else "object"
    return str(schema.get("format") or schema.get("type", "any"))


def _meanings(docstring: str) -> dict[str, str]:
    """Return a docstring's first line, under "", and what its attributes mean."""
    head, _, rest = inspect.cleandoc(docstring).partition("Attributes:")
    found = {"": " ".join(head.split("\n\n")[0].split())}
    name = ""
    for line in rest.splitlines():
        match = re.match(r"    (\w+): (.*)", line)
        if match:
            name = match[1]
            found[name] = match[2]
        elif line.strip() and name:
            found[name] += f" {line.strip()}"
    return found


def metrics() -> str:
    """Return the page of the metrics."""
    return (
        "# Metrics\n\nWhat `consumer-analytics metrics` exposes, and the dashboard at `/metrics`. "
        "Counters never go down:\nthey are kept in the database.\n\n" + catalogue.table()
    )


def roles(applied: AppliedRoles) -> str:
    """Return the page of the roles: what it says, and each right that a database's roles have."""
    page = (ROOT / ROLES_PAGE).read_text(encoding="utf-8")
    before, heading, _ = page.partition("| role | object | | rights |\n|---|---|---|---|\n")
    rows = [
        f"| `{grant.role}` | {grant.kind} | "
        f"{f'`{grant.name}`' if grant.name else 'the database'} | {', '.join(grant.privileges)} |"
        for grant in applied.grants
        # Objects are owned by one role; that is said once.
        if grant.privileges != ("owner",)
    ]
    return before + heading + "\n".join(rows) + "\n"


def _applied_roles() -> AppliedRoles:
    """Return what `consumer-analytics roles` makes of a new database, on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="ca-reference-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "postgres", options={"fsync": "off"})
        server.start()
        try:
            url = Secret(server.conninfo(SUPERUSER, "postgres"))
            settings = Settings(home=Path(folder), database_url=url)
            db_schema.migrate(settings)
            return db_roles.apply(settings)
        finally:
            server.stop()


def stale_links() -> dict[Path, Path | None]:
    """Return where the package lacks a link to a page of docs/, or has one that leads nowhere.

    A link to the whole folder would do, but what builds the package takes links to files alone.

    Returns:
        Each place in the package, with what its link has to lead to; None where it has to go.
    """
    places = {PACKAGED / page.relative_to(DOCS): page for page in DOCS.rglob("*.md")}
    wanted = {place: Path(os.path.relpath(page, place.parent)) for place, page in places.items()}
    there = {path: path.readlink() for path in PACKAGED.rglob("*") if path.is_symlink()}
    return {
        place: wanted.get(place)
        for place in sorted(wanted.keys() | there.keys())
        if wanted.get(place) != there.get(place)
    }


def link_pages() -> None:
    """Let the package have each page of docs/."""
    for place, target in stale_links().items():
        place.unlink(missing_ok=True)
        if target is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        print(f"{'unlinked' if target is None else 'linked'} {place.relative_to(ROOT)}")


def main() -> int:
    """Write or check the files."""
    defaults = Settings()
    pages = {
        "docs/reference/cli.md": command_line(),
        "docs/reference/settings.md": settings(),
        "docs/reference/http-api.md": http_api(),
        "docs/reference/metrics.md": metrics(),
        "monitoring/prometheus/rules.yml": dashboards.rules(defaults),
        "monitoring/grafana/dashboard.json": dashboards.dashboard(),
    }
    # What needs a server is checked by tests/integration/db/test_roles.py.
    if "--check" not in sys.argv[1:]:
        pages[ROLES_PAGE] = roles(_applied_roles())
    stale = [
        name
        for name, text in pages.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        stale += [str(place.relative_to(ROOT)) for place in stale_links()]
        for name in stale:
            print(f"{name} is stale; run `python tools/reference.py`")
        return 1 if stale else 0
    link_pages()
    for name in stale:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
