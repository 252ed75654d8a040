"""How this copy was installed, and how it gets what it lacks.

The product is on no index: a name alone would lead nowhere, or to somebody else's package.
Installers note where a copy came from beside it (`direct_url.json`): advice names just that.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from consumer_analytics.errors import MissingExtraError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_NAME = "consumer-analytics"


@contextmanager
def of_extra(name: str, what: str) -> Iterator[None]:
    """Import, in a `with` block, packages that not every installation has.

    Args:
        name: the extra that they come with, such as `web`; several with a comma between.
        what: what needs them, for people.

    Raises:
        MissingExtraError: one of them is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in {"", "consumer_analytics"}:
            raise
        raise missing(package, name, what) from None


def missing(package: str, extras: str, what: str) -> MissingExtraError:
    """Return the error that says which extra something needs, and how to get it."""
    word = "extras" if "," in extras else "extra"
    return MissingExtraError(
        f"{what} needs {package}, which comes with the {word} {extras}: {command(extras)}"
    )


def command(extras: str = "") -> str:
    """Return the command that installs this copy once more from where it came, with extras."""
    from importlib.metadata import distribution  # takes as long as a command's help

    copy = distribution(_NAME)
    wanted = f"{_NAME}[{extras}]" if extras else _NAME
    told = copy.read_text("direct_url.json")
    origin: dict[str, Any] = json.loads(told) if told else {}
    if (clone := _set_up_by_make(origin)) is not None:
        asked = f"WITH={shlex.quote(extras.replace(',', ' '))}" if extras else ""
        return f"make -C {shlex.quote(str(clone))} setup {asked}".rstrip()
    if not origin:
        # By its name, so from an index or a folder that the installer was told of.
        return (
            f"{_installer(copy)} --find-links FOLDER {shlex.quote(f'{wanted}=={copy.version}')}   "
            "# FOLDER: where this copy's wheel lies; from an index of your own: --index-url"
        )
    return f"{_installer(copy)} {_requirement(wanted, origin)}"


def _set_up_by_make(origin: dict[str, Any]) -> Path | None:
    """Return the clone whose `make setup` has made the environment that runs this, if one has.

    What is installed into that by other means is gone with the next `make setup`.
    """
    if not origin.get("dir_info", {}).get("editable"):
        return None
    clone = Path(unquote(urlsplit(str(origin["url"])).path))
    made = clone / ".venv"
    is_this = Path(sys.prefix).resolve() == made.resolve()
    return clone if is_this and (made / ".synced").exists() else None


def _installer(copy: Distribution) -> str:
    """Return what installs into the environment that runs this."""
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").exists():
        return "uv tool install --force"
    if (prefix / "pipx_metadata.json").exists():
        return "pipx install --force"
    python = shlex.quote(sys.executable)
    if (copy.read_text("INSTALLER") or "").strip() == "uv":
        # Its environments have no pip.
        return f"uv pip install --python {python}"
    return f"{python} -m pip install"


def _requirement(wanted: str, origin: dict[str, Any]) -> str:
    url = str(origin["url"])
    folder = f"#subdirectory={below}" if (below := origin.get("subdirectory")) else ""
    if (repository := origin.get("vcs_info")) is not None:
        at = repository.get("commit_id") or repository.get("requested_revision")
        return shlex.quote(f"{wanted} @ {repository['vcs']}+{url}{f'@{at}' if at else ''}{folder}")
    if origin.get("dir_info", {}).get("editable"):
        path = unquote(urlsplit(url).path)
        return f"-e {shlex.quote(path + wanted.removeprefix(_NAME))}"
    return shlex.quote(f"{wanted} @ {url}{folder}")
