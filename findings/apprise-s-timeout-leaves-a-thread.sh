#!/usr/bin/env bash
# Apprise 2.3.0: after `notify(timeout=…)` the process ends only when the slow service has answered.
#
# Documented: `timeout` limits the entire call in seconds, and unfinished services report TIMEOUT.
# That it does; but the service's request goes on in a thread of an executor, and Python joins those
# at its end. Here a service takes six seconds for its answer, a piece at a time, and the call may
# take one: it comes back after one, with TIMEOUT, and the process ends with the service's answer.
# Whoever sends with a limit from a short command gives Apprise a process of its own.
#
# Exits with 0 where that is still so, with 1 where it has changed.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check apprise==2.3.0
cat > serve.py <<'PYTHON'
import http.server
import time

ANSWER = b"x" * 12


class Slow(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        for place in range(len(ANSWER)):
            self.wfile.write(ANSWER[place : place + 1])
            time.sleep(0.5)

    def log_message(self, *_): ...


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
cat > send.py <<'PYTHON'
import sys
import time

import apprise

sender = apprise.Apprise()
sender.add(f"ntfy://127.0.0.1:{sys.argv[1]}/alerts")
began = time.monotonic()
result = sender.notify(body="body", timeout=1)
print(f"{result.status} after {time.monotonic() - began:.1f} s; now it is to end", flush=True)
PYTHON
exec 3< <(exec env/bin/python serve.py)
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
read -r port <&3
began=$(date +%s)
timeout 30 env/bin/python send.py "$port"
took=$(($(date +%s) - began))
echo "the process ended after $took s"
[ "$took" -ge 5 ]
