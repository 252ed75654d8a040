"""Airflow's own folder below the product's home: its files, and its database migration."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from consumer_analytics.airflow.configuration import FILE, HOST, Configuration, MailServer
from consumer_analytics.errors import UpError
from consumer_analytics.local import private
from consumer_analytics.local.home import Home, Secrets
from consumer_analytics.local.metadata import Metadata
from consumer_analytics.monitoring.notifications.channels import smtp
from consumer_analytics.settings import PREFIX, Settings

#: Settings that name files, which may be given from where `up` was called.
_FILES = ("database_password_file", "smtp_password_file", "smtp_ca_file", "heartbeat_file")


class AirflowHome:
    """The folder AIRFLOW_HOME below the product's home.

    Attributes:
        configuration: what Airflow is set up with there.
    """

    def __init__(
        self, home: Home, settings: Settings, secrets: Secrets, metadata: Metadata
    ) -> None:
        """Describe it; nothing is touched yet."""
        self._home = home
        self._settings = settings
        self._metadata = metadata
        self.configuration = Configuration(
            folder=home.airflow,
            product_home=home.path,
            port=settings.airflow_port,
            metadata_url=metadata.sqlalchemy_url,
            fernet_key=secrets.fernet_key,
            jwt_secret=secrets.jwt_secret,
            api_secret_key=secrets.api_secret_key,
            admin_password=secrets.admin_password,
            mail=_mail_server(settings),
        )

    def write(self) -> None:
        """Write the configuration, the login, and what the scheduler imports ahead."""
        ours = self.configuration
        private.write_file(ours.folder / FILE, ours.configuration_file())
        private.write_file(ours.passwords_file, ours.passwords())
        connections = ours.connections()
        if connections is None:
            ours.connections_file.unlink(missing_ok=True)
        else:
            private.write_file(ours.connections_file, connections)
        config = ours.folder / "config"
        private.make_folder(config)
        private.write_file(config / "airflow_local_settings.py", ours.local_settings())

    def environment(self) -> dict[str, str]:
        """Return the environment of Airflow's processes: the user's, without what we set."""
        ours = self.configuration.environment_names()
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
        private.write_file(stamp, f"{version} {revision}\n")
        return True


def _mail_server(settings: Settings) -> MailServer | None:
    """Return where Airflow's mails go: where ours do; None for nowhere."""
    if not settings.smtp_host:
        return None
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        sender=settings.alert_sender or settings.smtp_user,
        user=settings.smtp_user,
        password=smtp.password_of(settings),
    )


def _with_no_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    known = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    value = ",".join(filter(None, [known, HOST, "localhost"]))
    return {"NO_PROXY": value, "no_proxy": value}
