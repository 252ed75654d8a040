"""A Spark Connect server: a cluster of Spark's, or Sail. It reads; what it answers comes as Arrow.

The server reads the files itself, so its machines have the folder under the same path. Waiting is
ours: its client would wait for a dead server for twenty minutes, and for one that stands still
for ever. So questions are asked in a thread; while it waits, this one asks whether the server is
there, and hears Ctrl-C, which ends the job there as well.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from consumer_analytics.errors import ArchiveError
from consumer_analytics.fields import Secret
from consumer_analytics.installation import of_extra
from consumer_analytics.lake.engine.answer import Answer
from consumer_analytics.lake.engine.dialect import SPARK

#: Seconds until a server is there, and until it has answered a short question.
_CONNECTED = 3.0
_ANSWERED = 10.0
#: After so many seconds without a row it is asked whether it is there; so often it may be silent.
_ASKED = 5.0
_SILENT = 3
_SHOWN = 300
#: Characters that no server takes for a pattern, or decodes.
_PLAIN = re.compile(r"[A-Za-z0-9/=_.,@+-]+")
_VIEW = "archived_events"
#: Questions that may take long; they are waited for as answers are.
_LONG = ("AnalyzePlan",)
#: What comes from the thread that asks: a part of the answer, an error, or the end.
_Told = tuple[Any] | BaseException | None


class SparkSession:
    """A session on a Spark Connect server, in UTC."""

    dialect = SPARK

    def __init__(self, remote: Secret) -> None:
        """Connect.

        Raises:
            ArchiveError: nobody answers at the address, or the server refuses.
        """
        import grpc
        from pyspark.errors import PySparkException
        from pyspark.sql.connect.client.retries import DefaultPolicy
        from pyspark.sql.connect.session import SparkSession as Connected

        url = remote.get_secret_value()
        parts = urlsplit(url.partition(";")[0])
        self._where = f"the Spark Connect server at {parts.hostname}:{parts.port or 15002}"
        self._asking = False
        # The client tells of it by an error as well.
        warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
        try:
            builder = _channel_builder(url)
            self._session: Any = Connected(builder)
        except PySparkException:
            # What it says repeats the address.
            raise ArchiveError(
                f"no client can be had of {self._where}: its address is odd"
            ) from None
        policy = DefaultPolicy(
            max_retries=3,
            initial_backoff=200,
            backoff_multiplier=3,
            max_backoff=2000,
            jitter=100,
            max_server_retry_delay=2000,
        )
        self._session.client.set_retry_policies([policy])
        ready = grpc.channel_ready_future(builder.channel)
        try:
            ready.result(timeout=_CONNECTED)
        except grpc.FutureTimeoutError:
            # What waits for the channel in a thread of its own has to end before it does.
            ready.cancel()
            self._session.client.close()
            raise self._gone() from None
        list(self._watched(self._begin))

    def open(self, paths: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return what reads files in a FROM clause, and their columns with their types.

        Raises:
            ArchiveError: a path has characters that one server takes for a pattern, and another
                decodes.
        """
        for path in paths:
            if not _PLAIN.fullmatch(path.removeprefix("s3://")):
                raise ArchiveError(
                    f"{path} has characters that Spark may take for a pattern: letters, digits and "
                    "any of /=_.,@+- are understood alike by every server"
                )
        uris = [_uri(path) for path in paths]

        def read() -> Iterator[tuple[str, str]]:
            found = self._session.read.parquet(*uris)
            found.createOrReplaceTempView(_VIEW)
            yield from found.dtypes

        return _VIEW, dict(self._watched(read))

    def put(
        self, name: str, columns: Mapping[str, type], rows: Sequence[tuple[int | str, ...]]
    ) -> None:
        """Make a temporary view of some rows."""
        import pyarrow as arrow  # noqa: ICN001
        from pyspark.sql.types import LongType, StringType, StructField, StructType

        kinds = {int: (LongType(), arrow.int64()), str: (StringType(), arrow.string())}
        schema = StructType([StructField(one, kinds[kind][0]) for one, kind in columns.items()])
        values = zip(*rows, strict=True) if rows else ((),) * len(columns)
        table = arrow.table(
            {
                one: arrow.array(column, kinds[kind][1])
                for (one, kind), column in zip(columns.items(), values, strict=True)
            }
        )

        def view() -> Iterator[tuple[()]]:
            self._session.createDataFrame(table, schema).createOrReplaceTempView(name)
            yield from ()

        list(self._watched(view))

    def answer(self, statement: str) -> Answer:
        """Return what a statement answers."""
        from pyspark.sql.types import StructType

        def batches() -> Iterator[Any]:
            client, plan = self._session.client, self._session.sql(statement)._plan  # noqa: SLF001
            # As `toLocalIterator` asks, which makes rows of it then: schemas come between.
            for part in client.to_table_as_iterator(plan.to_proto(client), plan.observations):
                if not isinstance(part, StructType):
                    yield part

        return Answer(self._watched(batches))

    def close(self) -> None:
        """End the session, and what it may still be doing on the server."""
        if self._asking:
            self._interrupt()
        with suppress(Exception):
            self._session.stop()

    def _begin(self) -> Iterator[None]:
        self._session.conf.set("spark.sql.session.timeZone", "UTC")
        yield from ()

    def _watched(self, ask: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """Yield what a question answers, asked in a thread.

        Raises:
            ArchiveError: it cannot be answered, or nobody answers any more.
        """
        answers: Queue[_Told] = Queue(maxsize=2)
        given_up = Event()
        Thread(target=_answer, args=(ask, answers, given_up), daemon=True).start()
        self._asking = True
        silent = 0
        try:
            while True:
                try:
                    answer = answers.get(timeout=_ASKED)
                except Empty:
                    silent = 0 if self._is_there() else silent + 1
                    if silent >= _SILENT:
                        raise self._gone() from None
                    continue
                if isinstance(answer, BaseException):
                    self._asking = False
                    raise self._told(answer) from None
                if answer is None:
                    self._asking = False
                    return
                yield answer[0]
        finally:
            given_up.set()
            if self._asking:
                self._asking = False
                self._interrupt()

    def _is_there(self) -> bool:
        """Tell whether the server answers a question that costs it nothing."""
        from pyspark.errors import PySparkException

        try:
            self._session.client.get_configs("spark.sql.session.timeZone")
        except PySparkException:
            return False
        return True

    def _interrupt(self) -> None:
        """End what the session does on the server, as far as it can be told."""
        with suppress(Exception):
            self._session.interruptAll()

    def _gone(self) -> ArchiveError:
        return ArchiveError(f"{self._where} does not answer")

    def _told(self, error: BaseException) -> BaseException:
        """Return the error that a person reads for one of the client's."""
        import grpc
        from pyspark.errors import PySparkException

        if not isinstance(error, (PySparkException, grpc.RpcError)):
            return error
        text = str(error).strip() or type(error).__name__
        if "UNAVAILABLE" in text or "DEADLINE_EXCEEDED" in text or "failed to connect" in text:
            return self._gone()
        first = text.splitlines()[0][:_SHOWN]
        return ArchiveError(f"{self._where} cannot read the archive: {first}")


def _uri(path: str) -> str:
    """Return a file's address, as Spark's machines have it: S3 is `s3a` there."""
    return f"s3a{path[2:]}" if path.startswith("s3://") else f"file://{path}"


def _answer(
    ask: Callable[[], Iterator[Any]],
    answers: Queue[_Told],
    given_up: Event,
) -> None:
    """Put what a question answers into a queue, until it is given up; None is its end."""

    def put(answer: _Told) -> None:
        while not given_up.is_set():
            with suppress(Full):
                answers.put(answer, timeout=1)
                return

    try:
        for answer in ask():
            put((answer,))
            if given_up.is_set():
                return
        put(None)
    except BaseException as error:  # noqa: BLE001  (whatever it is, the other thread raises it)
        put(error)


def _channel_builder(url: str) -> Any:
    """Return what connects to a server: short questions have to be answered in time."""
    import grpc
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

    class Deadlines(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
        def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
            if not details.method.endswith(_LONG):
                details = details._replace(timeout=_ANSWERED)
            return proceed(details, request)

    class Builder(DefaultChannelBuilder):  # type: ignore[misc]
        def toChannel(self) -> Any:  # noqa: N802  (its name is the client's)
            self.channel = super().toChannel()
            return self.channel

    builder = Builder(url)
    builder.add_interceptor(Deadlines())
    return builder


@contextmanager
def started(remote: Secret) -> Iterator[SparkSession]:
    """Connect to a Spark Connect server for the block.

    Raises:
        ArchiveError: nobody answers there, or files cannot be read as what was archived.
        MissingExtraError: the client is not installed.
    """
    with of_extra("spark", "reading the archive by Spark"):
        import grpc  # noqa: F401
        import pyarrow as arrow  # noqa: F401, ICN001
        import pyspark.sql.connect  # noqa: F401
    session = SparkSession(remote)
    try:
        yield session
    finally:
        session.close()
