#!/usr/bin/env bash
# Apache Superset 6.1.0: it does not start with a Flask-Caching that its metadata allows.
#
# Declared by the package: `flask-caching<3,>=2.1.0`. Seen with Flask-Caching 2.5.1, which a plain
# `pip install apache-superset==6.1.0` takes: with no configuration but a secret key, making the
# application ends in a TypeError, since Flask-Caching hands each cache one argument more
# (`ignore_delete_many_errors`) and Superset's default cache, the one in its metadata, takes none
# that it does not know. With Flask-Caching 2.3.1 the same application is made.
#
# Exits with 0 where that is still so, with 1 where it has changed.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
install() { env/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }
# Two modules that it imports, and that its metadata leave to chance, come by name.
install apache-superset==6.1.0 flask-caching==2.5.1 cachelib==0.17.0 rich==15.0.0 cachetools==8.0.2
cat > superset_config.py <<PYTHON
SECRET_KEY = "of no use to anybody"
SQLALCHEMY_DATABASE_URI = "sqlite:///$work/metadata.db"
PYTHON
export SUPERSET_CONFIG_PATH=$work/superset_config.py
cat > make.py <<'PYTHON'
from importlib.metadata import version

from superset.app import create_app

try:
    create_app()
except TypeError as error:
    print(f"Flask-Caching {version('flask-caching')}: {error}")
    raise SystemExit(3)
print(f"Flask-Caching {version('flask-caching')}: made")
PYTHON
code=0
env/bin/python make.py 2>/dev/null || code=$?
install flask-caching==2.3.1
env/bin/python make.py 2>/dev/null
[ "$code" = 3 ]
