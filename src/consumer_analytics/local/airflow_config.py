"""Airflow's own folder: its configuration file, and its database migration.

The configuration is a file, not the environment, so that `airflow` commands
work beside the running system with nothing but AIRFLOW_HOME set.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from configparser import ConfigParser
from importlib.resources import files
from io import StringIO
from pathlib import Path

from consumer_analytics.errors import UpError
from consumer_analytics.local.home import Home, Secrets, write_private
from consumer_analytics.local.metadata import Metadata
from consumer_analytics.monitoring.notifications.channels import smtp
from consumer_analytics.settings import PREFIX, Settings

USER = "admin"
#: The web server answers on this machine only.
HOST = "127.0.0.1"

_HEADER = "# Written by `consumer-analytics up` at each start: change settings by environment\n"
_LOCAL_SETTINGS = '''"""Written by `consumer-analytics up` at each start."""

import os

from consumer_analytics.orchestration.preload import preload
from consumer_analytics.orchestration.readiness import await_web_server

# For `airflow` commands that run a task themselves, with AIRFLOW_HOME alone.
os.environ.setdefault("{prefix}HOME", {home!r})
preload()
await_web_server({url!r})
'''


#: Settings that name files, which may be given from where `up` was called.
_FILES = ("database_password_file", "smtp_password_file", "smtp_ca_file", "heartbeat_file")


class AirflowHome:
    """The folder AIRFLOW_HOME below the product's home."""

    def __init__(
        self, home: Home, settings: Settings, secrets: Secrets, metadata: Metadata
    ) -> None:
        """Describe it; nothing is touched yet."""
        self._home = home
        self._settings = settings
        self._secrets = secrets
        self._metadata = metadata

    @property
    def url(self) -> str:
        """The address of the web interface, as people open it."""
        return f"http://localhost:{self._settings.airflow_port}"

    @property
    def api_url(self) -> str:
        """The address of the web server, as programs reach it."""
        return f"http://{HOST}:{self._settings.airflow_port}"

    @property
    def passwords_file(self) -> Path:
        """The file with the web interface's logins."""
        return self._home.airflow / "passwords.json"

    def _values(self) -> dict[str, dict[str, object]]:
        secrets = self._secrets
        return {
            "core": {
                "dags_folder": files("consumer_analytics") / "dags",
                "executor": "LocalExecutor",
                # Each is a process that waits; a run needs two at once.
                "parallelism": 8,
                "load_examples": False,
                "fernet_key": secrets.fernet_key,
                "execution_api_server_url": f"{self.api_url}/execution/",
                "simple_auth_manager_users": f"{USER}:ADMIN",
                "simple_auth_manager_passwords_file": self.passwords_file,
            },
            "database": {
                "sql_alchemy_conn": self._metadata.sqlalchemy_url,
                "sql_alchemy_conn_async": self._metadata.sqlalchemy_url,
                "load_default_connections": False,
            },
            "logging": {
                "base_log_folder": self._home.airflow / "logs",
                "dag_processor_child_process_log_directory": (
                    self._home.airflow / "logs" / "dag_processor"
                ),
            },
            "api": {
                "host": HOST,
                "port": self._settings.airflow_port,
                "base_url": self.url,
                "workers": 1,
                "secret_key": secrets.api_secret_key,
            },
            "api_auth": {"jwt_secret": secrets.jwt_secret},
            "scheduler": {
                # The default of a second is most of a short run's time.
                "scheduler_idle_sleep_time": 0.1,
                # What a killed scheduler left is taken up within seconds.
                "scheduler_health_check_threshold": 15,
                "orphaned_tasks_check_interval": 10,
                "task_instance_heartbeat_timeout": 60,
            },
            # The default keeps a worker busy five seconds after a short task.
            "workers": {"min_heartbeat_interval": 1},
            "dag_processor": {"refresh_interval": 10, "min_file_process_interval": 10},
            "usage_data_collection": {"enabled": False},
            **self._mail(),
        }

    def _mail(self) -> dict[str, dict[str, object]]:
        """Return what Airflow's own mails need: ours go by the settings themselves."""
        settings = self._settings
        if not settings.smtp_host:
            return {}
        sender = settings.alert_sender or settings.smtp_user
        return {
            "email": {"from_email": sender},
            "smtp": {
                "smtp_host": settings.smtp_host,
                "smtp_port": settings.smtp_port,
                "smtp_starttls": settings.smtp_security == "starttls",
                "smtp_ssl": settings.smtp_security == "tls",
                "smtp_mail_from": sender,
            },
            "secrets": {
                "backend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
                "backend_kwargs": json.dumps({"connections_file_path": str(self._connections)}),
            },
        }

    @property
    def _connections(self) -> Path:
        return self._home.airflow / "connections.json"

    def _write_connections(self) -> None:
        """Write the connection `smtp_default`, which operators and notifiers go by."""
        settings = self._settings
        if not settings.smtp_host:
            self._connections.unlink(missing_ok=True)
            return
        connection = {
            "conn_type": "smtp",
            "host": settings.smtp_host,
            "port": settings.smtp_port,
            "login": settings.smtp_user or None,
            "password": smtp.password_of(settings) or None,
            "extra": {
                "from_email": settings.alert_sender or settings.smtp_user,
                "disable_ssl": settings.smtp_security != "tls",
                "disable_tls": settings.smtp_security != "starttls",
            },
        }
        write_private(self._connections, json.dumps({"smtp_default": connection}) + "\n")

    def write(self) -> None:
        """Write the configuration, the login, and what the scheduler imports ahead."""
        parser = ConfigParser(interpolation=None)
        parser.read_dict(
            {
                section: {name: str(value).replace("%", "%%") for name, value in values.items()}
                for section, values in self._values().items()
            }
        )
        text = StringIO(_HEADER)
        text.seek(0, os.SEEK_END)
        parser.write(text)
        write_private(self._home.airflow / "airflow.cfg", text.getvalue())
        write_private(self.passwords_file, json.dumps({USER: self._secrets.admin_password}) + "\n")
        self._write_connections()
        config = self._home.airflow / "config"
        config.mkdir(exist_ok=True)
        (config / "airflow_local_settings.py").write_text(
            _LOCAL_SETTINGS.format(prefix=PREFIX, home=str(self._home.path), url=self.api_url),
            encoding="utf-8",
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of Airflow's processes: the user's, without what we set."""
        ours = {
            f"AIRFLOW__{section}__{name}".upper()
            for section, values in self._values().items()
            for name in values
        } | {"AIRFLOW_CONFIG"}
        environment = {
            name: value
            for name, value in os.environ.items()
            # Also AIRFLOW__SECTION__NAME_CMD and _SECRET.
            if name not in ours and name.rsplit("_", 1)[0] not in ours
        }
        return {
            **environment,
            "AIRFLOW_HOME": str(self._home.airflow),
            f"{PREFIX}HOME": str(self._home.path),
            # The components run elsewhere.
            **{
                f"{PREFIX}{name.upper()}": str(value.expanduser().resolve())
                for name in _FILES
                if (value := getattr(self._settings, name)) is not None
            },
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            # Tasks talk to the web server; a proxy is not on this machine's inside.
            **_with_no_proxy(environment),
        }

    def migrate(self) -> bool:
        """Bring Airflow's tables to the installed version's schema; skip where they are there.

        Returns:
            Whether there was anything to do.

        Raises:
            UpError: Airflow's own migration failed; the message names its log.
        """
        stamp = self._home.airflow / "migrated"
        version = importlib.metadata.version("apache-airflow-core")
        known = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
        if known == [version, self._metadata.revision()]:
            return False
        self._metadata.drop_views()
        log = self._home.logs / "airflow-migrate.log"
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=self.environment(),
                cwd=self._home.run,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        revision = self._metadata.revision()
        # It has been seen to end well without its tables being where they should.
        if done.returncode != 0 or revision is None:
            raise UpError(
                f"`airflow db migrate` failed (exit code {done.returncode}); its log is {log}"
            )
        stamp.write_text(f"{version} {revision}\n", encoding="utf-8")
        return True


def _with_no_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    known = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    value = ",".join(filter(None, [known, HOST, "localhost"]))
    return {"NO_PROXY": value, "no_proxy": value}
