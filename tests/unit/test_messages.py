"""What the database says, in our words: what happened, what was kept, what to do."""

from __future__ import annotations

import re

import psycopg
import pytest
from psycopg import errors

from consumer_analytics.db import connection, refusals
from consumer_analytics.errors import one_line

#: Every error that PostgreSQL has a number for, by that.
STATES = {
    one.sqlstate: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, psycopg.Error) and one.sqlstate
}
#: What any of them would say raw.
RAW = "canceling statement due to user request"


def test_each_has_a_sentence_and_what_to_do() -> None:
    assert len(STATES) > 240
    for error in STATES.values():
        said = one_line(error(f"{RAW}\nLINE 3: from customers\n        ^"))
        assert not re.search(rf"LINE|\^|{RAW}", said), said
        what, _, advice = said.partition("; ")
        assert len(what) > 20, said
        assert re.search(r"run it again|doctor|check|name|ask who|was changed", advice), said


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("57014", "somebody ended the statement"),
        ("57P03", "starting up"),
        ("53300", "no connection free"),
        ("53100", "disk is full"),
        ("40P01", "waited for each other"),
        ("40001", "in the same moment"),
        ("55P03", "has locked"),
        ("25006", "standby"),
        ("28P01", "check login and password"),
        ("3D000", "does not exist"),
        ("42501", "rights that are lacking"),
    ],
)
def test_those_that_people_meet(state: str, words: str) -> None:
    assert words in one_line(STATES[state](""))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("the database system is starting up", "in a moment"),
        ("the database system is in recovery mode", "in a moment"),
        ("the database system is shutting down", "when it is up again"),
        ("sorry, too many clients already", "max_connections"),
        ("too many connections for role", "max_connections"),
        ("remaining connection slots are reserved for roles", "max_connections"),
        ('password authentication failed for user "database "', "check login and password"),
        ('Peer authentication failed for user "etl"', "check the login"),
        ('no pg_hba.conf entry for host "10.0.0.1"', "pg_hba.conf"),
        ('database "analytics" does not exist', "create the database"),
        ('role "etl" does not exist', "create the login"),
    ],
)
def test_a_server_that_does_not_let_us_in(said: str, words: str) -> None:
    refused = f'connection to server at "role refused", port 5432 failed: FATAL:  {said}'
    assert words in connection._advice(refused)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Connection refused\n\tIs the server running on that host", "start the server"),
        ('could not translate host name "db" to address', "check the host"),
        ("timeout expired", "firewall"),
        ("SSL error: certificate verify failed", "sslmode"),
    ],
)
def test_a_server_that_is_not_there(said: str, words: str) -> None:
    assert words in connection._advice(f'connection to "role", port 5432 failed: {said}')


REFUSED = (
    'connection failed: connection to server at "{0}", port {1} failed: Connection refused\n'
    "\tIs the server running on that host and accepting TCP/IP connections?"
)
SEVERAL = "\nMultiple connection attempts failed. All failures were:\n"
ABSENT = (
    'connection is bad: connection to server on socket "/run/db/.s.PGSQL.5432" failed: No such '
    "file or directory\n\tIs the server running locally and accepting connections on that socket?"
)
BARRED = 'connection to server at "10.0.0.7", port 5432 failed: FATAL:  no entry for "etl", {}'


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (REFUSED.format("::1", 9), "::1 port 9: Connection refused"),
        (
            REFUSED.format("127.0.0.1", 9)
            + SEVERAL
            + f"- host: 'localhost', port: '9', hostaddr: '::1': {REFUSED.format('::1', 9)}\n"
            + f"- host: 'localhost', port: '9', hostaddr: '127.0.0.1': "
            f"{REFUSED.format('127.0.0.1', 9)}",
            "::1 port 9, 127.0.0.1 port 9: Connection refused",
        ),
        (
            REFUSED.format("127.0.0.1", 9)
            + SEVERAL
            + f"- host: '/run/db', port: '5432', hostaddr: None: {ABSENT}\n"
            + f"- host: 'a', port: '9', hostaddr: '127.0.0.1': {REFUSED.format('127.0.0.1', 9)}",
            (
                "/run/db/.s.PGSQL.5432: No such file or directory, and "
                "127.0.0.1 port 9: Connection refused"
            ),
        ),
        (
            "connection timeout expired"
            + SEVERAL
            + "- host: 'db', port: None, hostaddr: '10.0.0.7': connection timeout expired\n"
            + "- host: 'db', port: '6432', hostaddr: '10.0.0.8': connection timeout expired",
            "10.0.0.7, 10.0.0.8 port 6432: connection timeout expired",
        ),
        (
            f"connection failed: {BARRED.format('encrypted')}\n{BARRED.format('in clear')}",
            (
                '10.0.0.7 port 5432: FATAL: no entry for "etl", encrypted, and '
                '10.0.0.7 port 5432: FATAL: no entry for "etl", in clear'
            ),
        ),
        ("failed to resolve host 'db': no\nsuch name", "failed to resolve host 'db': no such name"),
        ("", ""),
    ],
)
def test_each_address_is_told_once_in_a_line(said: str, line: str) -> None:
    assert refusals.told(psycopg.OperationalError(said)) == line
