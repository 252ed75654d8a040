"""The files that an Airflow of our own is set up with.

A file, not the environment, holds the configuration, so that `airflow` commands work
beside the running system with nothing but AIRFLOW_HOME set.
"""

from __future__ import annotations

import json
import os
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from pathlib import Path

from consumer_analytics.airflow import task_logs
from consumer_analytics.settings import PREFIX

#: The administrator of its web interface.
USER = "admin"
#: The web server answers on this machine only.
HOST = "127.0.0.1"
#: What tells that a folder is an AIRFLOW_HOME.
FILE = "airflow.cfg"
#: The file with the web interface's logins, in that folder.
PASSWORDS = "passwords.json"

#: The file with what operators connect by, in that folder.
CONNECTIONS = "connections.json"

_HEADER = "# Written by `consumer-analytics up` at each start: change settings by environment\n"
_LOCAL_SETTINGS = '''"""Written by `consumer-analytics up` at each start."""

import os

from consumer_analytics.airflow.preload import preload
from consumer_analytics.airflow.readiness import await_web_server

# For `airflow` commands that run a task themselves, with AIRFLOW_HOME alone.
os.environ.setdefault("{prefix}HOME", {home!r})
preload()
await_web_server({url!r})
'''


def api_url(port: int) -> str:
    """Return the address of the web server, as programs on this machine reach it."""
    return f"http://{HOST}:{port}"


@dataclass(frozen=True)
class MailServer:
    """Where Airflow's own mails go: ours go by the settings themselves.

    Attributes:
        host: its name.
        port: its port.
        security: `starttls`, `tls` or `none`.
        sender: whom mails are from.
        user: the login; empty for none.
        password: its password; empty for none.
    """

    host: str
    port: int
    security: str
    sender: str
    user: str
    password: str


@dataclass(frozen=True)
class Configuration:
    """What an Airflow of ours is set up with.

    Attributes:
        folder: its AIRFLOW_HOME.
        product_home: the folder of everything that `up` keeps.
        port: of its web server.
        metadata_url: where its metadata are, as SQLAlchemy takes it.
        fernet_key: encrypts what it stores.
        jwt_secret: signs the tokens of users and tasks.
        api_secret_key: signs sessions in the browser.
        admin_password: of the user in its web interface.
        mail: where its mails go; None for nowhere.
    """

    folder: Path
    product_home: Path
    port: int
    metadata_url: str
    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    admin_password: str
    mail: MailServer | None

    @property
    def url(self) -> str:
        """The address of the web interface, as people open it."""
        return f"http://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        """The address of the web server, as programs reach it."""
        return api_url(self.port)

    @property
    def logs(self) -> Path:
        """The folder of tasks' logs."""
        return task_logs.folder(self.folder)

    @property
    def passwords_file(self) -> Path:
        """The file with the web interface's logins."""
        return self.folder / PASSWORDS

    @property
    def connections_file(self) -> Path:
        """The file with the connections that operators and notifiers go by."""
        return self.folder / CONNECTIONS

    def sections(self) -> dict[str, dict[str, object]]:
        """Return the settings, by section and name."""
        return {
            "core": {
                "dags_folder": files("consumer_analytics") / "dags",
                "executor": "LocalExecutor",
                # Each is a process that waits; a run needs two at once.
                "parallelism": 8,
                "load_examples": False,
                "fernet_key": self.fernet_key,
                "execution_api_server_url": f"{self.api_url}/execution/",
                "simple_auth_manager_users": f"{USER}:ADMIN",
                "simple_auth_manager_passwords_file": self.passwords_file,
            },
            "database": {
                "sql_alchemy_conn": self.metadata_url,
                "sql_alchemy_conn_async": self.metadata_url,
                "load_default_connections": False,
            },
            "logging": {
                "base_log_folder": self.logs,
                "dag_processor_child_process_log_directory": self.logs / "dag_processor",
                # Airflow sets these itself, whatever the umask: 755 and 664 by default.
                "file_task_handler_new_folder_permissions": "0o700",
                "file_task_handler_new_file_permissions": "0o600",
            },
            "api": {
                "host": HOST,
                "port": self.port,
                "base_url": self.url,
                "workers": 1,
                "secret_key": self.api_secret_key,
            },
            "api_auth": {"jwt_secret": self.jwt_secret},
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
            **self._mail_sections(),
        }

    def _mail_sections(self) -> dict[str, dict[str, object]]:
        mail = self.mail
        if mail is None:
            return {}
        return {
            "email": {"from_email": mail.sender},
            "smtp": {
                "smtp_host": mail.host,
                "smtp_port": mail.port,
                "smtp_starttls": mail.security == "starttls",
                "smtp_ssl": mail.security == "tls",
                "smtp_mail_from": mail.sender,
            },
            "secrets": {
                "backend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
                "backend_kwargs": json.dumps({"connections_file_path": str(self.connections_file)}),
            },
        }

    def environment_names(self) -> frozenset[str]:
        """Return the variables that would go before what is configured here."""
        return frozenset(
            f"AIRFLOW__{section}__{name}".upper()
            for section, values in self.sections().items()
            for name in values
        ) | {"AIRFLOW_CONFIG"}

    def configuration_file(self) -> str:
        """Return the text of `airflow.cfg`."""
        parser = ConfigParser(interpolation=None)
        parser.read_dict(
            {
                section: {name: str(value).replace("%", "%%") for name, value in values.items()}
                for section, values in self.sections().items()
            }
        )
        text = StringIO(_HEADER)
        text.seek(0, os.SEEK_END)
        parser.write(text)
        return text.getvalue()

    def passwords(self) -> str:
        """Return the text of the file with the logins."""
        return json.dumps({USER: self.admin_password}) + "\n"

    def connections(self) -> str | None:
        """Return the text of the file with the connection `smtp_default`; None for no file."""
        mail = self.mail
        if mail is None:
            return None
        connection = {
            "conn_type": "smtp",
            "host": mail.host,
            "port": mail.port,
            "login": mail.user or None,
            "password": mail.password or None,
            "extra": {
                "from_email": mail.sender,
                "disable_ssl": mail.security != "tls",
                "disable_tls": mail.security != "starttls",
            },
        }
        return json.dumps({"smtp_default": connection}) + "\n"

    def local_settings(self) -> str:
        """Return the text of `config/airflow_local_settings.py`: what it imports ahead."""
        return _LOCAL_SETTINGS.format(prefix=PREFIX, home=str(self.product_home), url=self.api_url)
