"""Build the documentation as a site, in build/site, and prove that it holds together.

python tools/build_site.py         build and check; exit 1 where anything is wrong
python tools/build_site.py serve   show it at http://localhost:8000, and again after each change
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "site"
ZENSICAL = Path(sys.executable).with_name("zensical")
_LOADING = {("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src")}


class _Page(HTMLParser):
    """What one page links to, what it loads, and which anchors it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in ("id", "name"):
            if given.get(name):
                self.anchors.add(given[name])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loads.append(given["href"])
        self.loads += [value for name, value in given.items() if (tag, name) in _LOADING]


def _target(path: Path, link: str) -> tuple[Path, str] | None:
    """Return the file and the anchor that a link leads to; None where it leaves the site."""
    address, anchor = urldefrag(link)
    if urlsplit(address).scheme:
        return None
    return (path.parent / unquote(address)).resolve() if address else path, anchor


def _faults_of_links(site: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    for path, page in pages.items():
        name = path.relative_to(site)
        targets = [(link, found) for link in page.links if (found := _target(path, link))]
        for link, (target, anchor) in targets:
            if not target.exists():
                yield f"{name}: {link} leads nowhere"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{name}: {link}: there is no such heading"
        if site / "runbook.html" not in {target for _, (target, _) in targets}:
            yield f"{name}: no link to the runbook"


def _faults_of_loads(site: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    for path, page in pages.items():
        for address in page.loads:
            parts = urlsplit(address)
            if parts.netloc:
                yield f"{path.relative_to(site)}: loads {address} from another host"
            elif not (path.parent / unquote(parts.path)).exists():
                yield f"{path.relative_to(site)}: {address} is not there"


def _unreached(site: Path, pages: dict[Path, _Page]) -> Iterator[str]:
    reached = {site / "index.html"}
    waiting = list(reached)
    while waiting:
        path = waiting.pop()
        found = {target[0] for link in pages[path].links if (target := _target(path, link))}
        fresh = (found & pages.keys()) - reached
        reached |= fresh
        waiting += fresh
    for path in sorted(pages.keys() - reached):
        yield f"{path.relative_to(site)}: no page leads here; add it to zensical.toml"


def faults(site: Path) -> list[str]:
    """Return what is wrong with a built site, a line each.

    Each link inside the site leads to a page and, where it names one, to a heading there; the
    runbook is linked from every page; no page loads anything from another host; each is reached
    from the first one.
    """
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    return [
        *_faults_of_links(site, pages),
        *_faults_of_loads(site, pages),
        *_unreached(site, pages),
    ]


def build() -> int:
    """Build the site strictly and check it; return the exit code."""
    # Its own failure ends in a traceback below the findings, which are what matters.
    done = subprocess.run(
        [ZENSICAL, "build", "--clean", "--strict"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        told = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        print(told.partition("Traceback (most recent call last)")[0])
        return 1
    found = faults(SITE.resolve())
    print("\n".join(found) or f"{(SITE / 'index.html').relative_to(ROOT)} is built")
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        sys.exit(subprocess.call([ZENSICAL, "serve"], cwd=ROOT))
    sys.exit(build())
