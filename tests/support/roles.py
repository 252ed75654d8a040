"""The roles of a test's database, and logins in them."""

from __future__ import annotations

import uuid
from typing import Any

from psycopg import sql
from psycopg.conninfo import make_conninfo

from consumer_analytics.db import roles
from consumer_analytics.fields import Secret


class Roles:
    """The roles of a test's database, and logins in them."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.prefix = f"ca_test_{uuid.uuid4().hex[:8]}"
        self.admin_url = make_conninfo(database.server.admin_url, dbname=database.name)
        self.made: list[str] = []

    def apply(self, **options: Any) -> roles.AppliedRoles:
        return roles.apply(self.settings(self.admin_url), prefix=self.prefix, **options)

    def settings(self, url: str) -> Any:
        return self.database.settings.replaced({"database_url": Secret(url)})

    def login(self, *members: str, options: str = "") -> str:
        """Make a login, a member of these roles; return its connection string."""
        name = f"{self.prefix}_{uuid.uuid4().hex[:6]}"
        with self.database.connect_admin() as admin:
            admin.execute(sql.SQL(f"create role {{}} login {options}").format(sql.Identifier(name)))
            for kind in members:
                admin.execute(
                    sql.SQL("grant {} to {}").format(
                        sql.Identifier(f"{self.prefix}_{kind}"), sql.Identifier(name)
                    )
                )
        self.made.append(name)
        return make_conninfo(self.database.url, user=name, password="")

    def clean(self) -> None:
        with self.database.connect_admin() as admin:
            everyone = [*self.made, *(f"{self.prefix}_{kind}" for kind in roles.KINDS)]
            for name in everyone:
                if admin.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
                    role = sql.Identifier(name)
                    admin.execute(sql.SQL("reassign owned by {} to current_user").format(role))
                    admin.execute(sql.SQL("drop owned by {} cascade").format(role))
                    admin.execute(sql.SQL("drop role {}").format(role))
