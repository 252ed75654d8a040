"""Write the generated pages of the reference: the command line and the settings.

python docs/generate.py            write them
python docs/generate.py --check    exit 1 where a page is not what would be written
"""

from __future__ import annotations

import html
import subprocess
import sys
from pathlib import Path

from pydantic_core import PydanticUndefined

from consumer_analytics.settings import PREFIX, Settings

_PREAMBLE = (
    "All settings are environment variables. A variable with the prefix that is none of these "
    "is refused, so that a slip of the pen does not pass unnoticed."
)
REFERENCE = Path(__file__).parent / "reference"


def command_line() -> str:
    """Return the page of the command line, as Typer describes it."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "typer",
            "consumer_analytics.cli.main",
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
    return html.unescape(done.stdout).rstrip() + "\n"


def settings() -> str:
    """Return the page of the settings, one row a field."""
    lines = [
        "# Settings",
        "",
        _PREAMBLE,
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.default
        if name == "home":
            shown = "`consumer-analytics` in the user's data directory"
        elif default is None or default is PydanticUndefined or default == "":
            shown = "-"
        elif isinstance(default, float):
            shown = f"`{default:g}`"
        else:
            shown = f"`{default}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check the pages."""
    pages = {"cli.md": command_line(), "settings.md": settings()}
    stale = [
        name
        for name, text in pages.items()
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/reference/{name} is stale; run `python docs/generate.py`")
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
