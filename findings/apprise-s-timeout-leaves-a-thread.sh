#!/usr/bin/env bash
# Apprise 2.3.0: after `notify(timeout=…)` a process waits at its end for a service that answers slowly.
#
# Documented: `timeout` limits the entire call in seconds, and unfinished services report TIMEOUT.
# That it does; but the service's request goes on in a thread of an executor, and Python joins those
# at its end. A service whose answer comes a byte at a time, so that no read of `requests` runs into
# its own limit, keeps the process for as long as it likes; and all that it sends is held in memory.
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


class Slow(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"A")
            time.sleep(0.2)

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
code=0
timeout 20 env/bin/python send.py "$port" || code=$?
echo "after 20 s: $([ $code -eq 124 ] && echo 'it had not ended' || echo "it ended with $code")"
[ $code -eq 124 ]
