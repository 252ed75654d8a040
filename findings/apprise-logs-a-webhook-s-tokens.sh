#!/usr/bin/env bash
# Apprise 2.3.0: with `secure_logging`, which is on, its log repeats a Slack webhook's three tokens.
#
# Documented (`AppriseAsset.secure_logging`): it prevents "secure password and secret information
# from being displayed in the logging". Seen: at DEBUG the plugin for Slack logs `Slack POST URL:`
# with the whole address, which is all that it takes to write to the channel; and ntfy's logs the
# topic's address at INFO. Who lets a library's log into his own at these levels has them there.
# Nothing is sent: where the connection would be opened, the script answers by itself.
#
# Exits with 0 where that is still so, with 1 where it has changed.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check apprise==2.3.0
cat > send.py <<'PYTHON'
import io
import logging

import apprise
import requests


def answer(self, request, **_):
    made = requests.Response()
    made.status_code, made._content, made.request = 200, b"ok", request
    return made


requests.adapters.HTTPAdapter.send = answer
log = io.StringIO()
logging.basicConfig(stream=log, level=logging.DEBUG)
asset = apprise.AppriseAsset(secure_logging=True, async_mode=False)
sender = apprise.Apprise(asset=asset)
sender.add("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops")
assert sender.notify(title="title", body="body")
lines = [line for line in log.getvalue().splitlines() if "TIiajkdnlazkcOXrIdevi7FQ" in line]
print(f"{len(lines)} line(s) of the log hold the third token")
print(*lines, sep="\n")
raise SystemExit(not lines)
PYTHON
env/bin/python send.py
