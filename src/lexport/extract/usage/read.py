"""Read the use of one account-region: the series that CloudWatch lists, then their figures in requests of many.

It begins when the functions and aliases are known, which wait in a file. What could not be read is never a use of zero:
it is a row of ``errors`` that names the function, and is counted as ``unread``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import count
from operator import methodcaller
from typing import Any, Protocol

from anyio import EndOfStream, to_thread

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import CallApi
from lexport.dataset.store import Store
from lexport.errors import AccessDeniedError, ItemError, NotOfferedError, ShardError, WrongAnswerError
from lexport.extract.context import RunContext
from lexport.extract.decode import decode_object
from lexport.extract.failures import Item
from lexport.extract.flatten_resource import append_row
from lexport.extract.listing import Chain
from lexport.extract.match_response import checked
from lexport.extract.progress import ShardProgress
from lexport.extract.resources import ResourceReader
from lexport.extract.rows import Staging
from lexport.extract.shard_log import Outcome, ShardLog
from lexport.extract.usage.metrics import (
    INVOCATIONS,
    METRICS,
    THROTTLES,
    Answers,
    Metric,
    Query,
    check_results,
    chunks,
    first_metrics,
    request,
    results_of,
    take_page,
    unanswered,
    usage_rows,
)
from lexport.extract.usage.routes import earlier_routes
from lexport.extract.usage.series import Series, SeriesFile, listed_series, of_function, of_qualifier, of_route
from lexport.extract.usage.window import window_of
from lexport.extract.workers import pump
from lexport.model import LATEST, FunctionRef, Reply
from lexport.tables.aliases import ALIASES
from lexport.tables.call import JsonCall
from lexport.tables.resource import Row
from lexport.tables.resources.usage import (
    FUNCTION_USAGE,
    GET_METRIC_DATA,
    LIST_METRICS,
    NAMESPACE,
    USAGE,
    USAGE_WINDOWS,
)
from lexport.tables.staged import ANSWER

REQUESTS_AT_ONCE = 4  # each with the points of up to 500 metrics in memory, some 8 MB
MOST_TRIES = 3  # of a result that is not complete
MOST_FAILED_REQUESTS = 3
"""CloudWatch that fails so many requests in a row, each tried again several times, is not asked any more."""


class ShardWork(Protocol):
    """The reading of one shard, as far as its use is read with it."""

    run: RunContext
    api: LambdaClient
    call_api: CallApi
    staging: Staging
    progress: ShardProgress
    log: ShardLog


class UsageReader:
    """Reads the use of one shard into rows. ``unread`` counts the series that could not be read."""

    def __init__(self, work: ShardWork) -> None:
        spec, settings = work.run.spec, work.run.settings
        self.scope = work.log.shard.scope
        self.window = window_of(spec.snapshot_at, settings.usage_days)
        self.series = SeriesFile(work.staging.folder / f"usage-{self.scope.account_id}-{self.scope.region}.db")
        self.unread = self.metrics = 0
        self._work = work
        self._log, self._progress = work.log, work.progress
        self._rows = work.staging.rows
        self._is_gap = USAGE.option in settings.require
        self._failed_in_a_row = 0
        self._has_given_up = self._has_listed = False
        self._numbers = count()

    @property
    def outcome(self) -> Outcome:
        """What reading the use came to so far."""
        return self._log.outcomes[USAGE.option]

    def put(self, refs: Iterable[FunctionRef]) -> None:
        """Take listed functions and versions."""
        listed = [(ref.function_name, ref.qualifier) for ref in refs]
        known = [of_function(name) for name, _ in listed]
        known += [of_qualifier(name, qualifier) for name, qualifier in listed if qualifier and qualifier != LATEST]
        self.series.add_known(known)

    def put_alias(self, row: Row, item: Mapping[str, Any]) -> None:
        """Take an alias that was read: its row, and the item of the list, which has the weights of more versions."""
        name, alias = row["function_name"], row[ALIASES.key[-1]]
        routing = item.get("RoutingConfig")
        weights = routing.get("AdditionalVersionWeights") if isinstance(routing, dict) else None
        versions = [row["function_version"], *(weights if isinstance(weights, dict) else ())]
        routes = [of_route(name, alias, version) for version in versions if version]
        self.series.add_known([of_qualifier(name, alias), *routes])

    async def read(self) -> None:
        """Read the use of everything that was put."""
        await self._list_recent()
        if self._has_given_up:
            return
        if not self.window.is_recent and self._work.run.dataset is not None:
            await to_thread.run_sync(self._add_earlier_routes, self._work.run.dataset)
        await pump(self._read_chunk, _Chunks(self), self._lose_chunk, workers=REQUESTS_AT_ONCE)
        if self.outcome.replies or (self._has_listed and not self.outcome.failures):
            self._append_window()

    def _add_earlier_routes(self, dataset: Store) -> None:
        run = self._work.run.spec.snapshot_id
        for routes in earlier_routes(dataset, self.scope, self.window.start, run, self._log.note):
            self.series.add_known(routes)

    async def _ask(self, call: JsonCall, parameters: Mapping[str, Any], check: Any, *expected: Any) -> Reply:
        attempt = checked(self._work.api, methodcaller("call_json", call, parameters), decode_object, check, *expected)
        return await self._work.call_api(call, attempt)

    # --- what CloudWatch lists ----------------------------------------------------------------------------------------

    async def _list_recent(self) -> None:
        """List what was called, and what was throttled every time, which has no calls."""
        try:
            for metric in (INVOCATIONS, THROTTLES):
                await self._list(metric)
        except ShardError:
            raise
        except ItemError as error:
            self._lose(LIST_METRICS, error)
        else:
            self._has_listed = True

    async def _list(self, metric: Metric) -> None:
        parameters = {"Namespace": NAMESPACE, "MetricName": metric.name}
        chain, token = Chain(LIST_METRICS.operation), None
        while True:
            page = parameters if token is None else {**parameters, "NextToken": token}
            reply = await self._ask(LIST_METRICS, page, _check_listed, metric)
            found = list(filter(None, map(listed_series, map(_dimensions, reply.document["Metrics"]))))
            self.series.add_recent(found)
            chain.admit(found)
            token = chain.next_marker(reply.document.get("NextToken"))
            if token is None:
                return

    # --- figures ------------------------------------------------------------------------------------------------------

    def chunks(self) -> Iterator[list[Series]]:
        """Yield the series to ask for, those of one request at a time."""
        to_ask = self.series.to_ask(is_listed_enough=self._has_listed and self.window.is_recent)
        return chunks(to_ask, self.window.queries_per_request)

    async def _read_chunk(self, chunk: Sequence[Series]) -> None:
        """Ask for the calls of some series, then for the other figures of those that were called."""
        if self._has_given_up:
            self.unread += len(chunk)
            return
        numbered = list(enumerate(chunk))
        first = [Query(number, each, metric) for number, each in numbered for metric in first_metrics(each)]
        answers = await self._answer(first)
        used = {query.number for query, points in answers.points.items() if any(points.values())}
        more = [
            Query(number, each, metric)
            for number, each in numbered
            for metric in METRICS
            if number in used and metric not in first_metrics(each)
        ]
        size = self.window.queries_per_request
        for start in range(0, len(more), size):
            further = await self._answer(more[start : start + size])
            answers.points |= further.points
            answers.failures |= further.failures
        self._lose_results(answers.failures)
        await self._append(numbered, answers)

    async def _answer(self, queries: Sequence[Query]) -> Answers:
        """Ask until every query is answered whole, or was asked often enough."""
        answers = Answers()
        left: Sequence[Query] = queries
        for _ in range(MOST_TRIES):
            await self._request(left, answers)
            left = answers.left(left)
            if not left:
                break
        return answers

    async def _request(self, queries: Sequence[Query], answers: Answers) -> None:
        """Make one request and read all of its pages."""
        prefix = f"r{next(self._numbers)}q"
        parameters = request(queries, self.window, prefix)
        ids = {each["Id"]: query for each, query in zip(parameters["MetricDataQueries"], queries, strict=True)}
        self.metrics += len(queries)
        self._progress.asked[USAGE.option] += 1
        chain = Chain(GET_METRIC_DATA.operation)
        try:
            while True:
                reply = await self._ask(GET_METRIC_DATA, parameters, check_results, ids)
                self._failed_in_a_row = 0
                self.outcome.replies += 1
                results = results_of(reply)
                take_page(results, ids, self.window, answers)
                chain.admit([(result["Id"], str(result.get("Timestamps"))) for result in results])
                token = chain.next_marker(reply.document.get("NextToken"))
                if token is None:
                    break
                parameters = {**parameters, "NextToken": token}
        finally:
            self._progress.answered[USAGE.option] += 1
        unanswered(queries, answers)

    async def _append(self, numbered: Sequence[tuple[int, Series]], answers: Answers) -> None:
        points: defaultdict[int, dict[Metric, Mapping[date, float]]] = defaultdict(dict)
        for query, values in answers.points.items():
            points[query.number][query.metric] = values
        for number, each in numbered:
            rows = list(usage_rows(each, points[number])) if number in points else ()
            if not rows:
                continue
            answer = self._work.staging.answer_id()
            for row in rows:
                append_row(FUNCTION_USAGE, {**self._scope(), **row, ANSWER: answer}, rows=self._work.staging.rows)
            self.outcome.items += len(rows)
            self._work.staging.rows.items += len(rows)
            await self._work.staging.flush()

    def _append_window(self) -> None:
        counts = self.series.counts()
        row = {
            **self._scope(),
            "first_day": self.window.first,
            "last_day": self.window.last,
            "functions": counts.get("function", 0),
            "aliases": counts.get("alias", 0),
            "versions": counts.get("version", 0),
            "executed_versions": counts.get("executed_version", 0),
            "metrics": self.metrics,
            "unread": self.unread,
            ANSWER: self._work.staging.answer_id(),
        }
        append_row(USAGE_WINDOWS, row, rows=self._work.staging.rows)
        self._work.staging.rows.items += 1

    def _scope(self) -> dict[str, Any]:
        return {"account_id": self.scope.account_id, "region": self.scope.region}

    # --- failures -----------------------------------------------------------------------------------------------------

    def _lose(self, call: JsonCall, error: ItemError, series: Series | None = None) -> None:
        """Record a failure. What the Region does not offer is none, unless it has answered."""
        if isinstance(error, NotOfferedError) and not self._is_gap and not self.outcome.replies:
            self.outcome.is_not_offered = self._has_given_up = True
            return
        name, qualifier = (None, None) if series is None else (series.name, series.qualifier)
        item = Item(self.scope, "discover", call.operation, name, qualifier, is_optional=not self._is_gap)
        self._log.record(error, item)

    def _lose_results(self, failures: Mapping[Query, ItemError]) -> None:
        """Record results that did not become whole, once for each series."""
        lost = {query.series: error for query, error in failures.items()}
        self.unread += len(lost)
        for series, error in lost.items():
            what = " of ".join(filter(None, (series.executed and f"version {series.executed}", series.dimension)))
            named = type(error)(f"{error} ({what})", code=error.code, http_status=error.http_status)
            self._lose(GET_METRIC_DATA, named, series)

    def _lose_chunk(self, chunk: Sequence[Series], error: ItemError) -> None:
        """Record a request that failed: of each function in it, or of the account-region where nothing is to be had."""
        self.unread += len(chunk)
        self._failed_in_a_row += 1
        is_refused = isinstance(error, AccessDeniedError | NotOfferedError)
        if self._has_given_up:
            return
        if is_refused or self._failed_in_a_row >= MOST_FAILED_REQUESTS:
            self._has_given_up = True
            self._lose(GET_METRIC_DATA, error)
            return
        for series in {each.name: each for each in chunk}.values():
            self._lose(GET_METRIC_DATA, error.copy(), of_function(series.name))


@contextmanager
def open_usage(work: ShardWork, resources: Iterable[ResourceReader]) -> Iterator[UsageReader]:
    """Open the reader of the use of one shard; the readers of its other resources tell it of aliases."""
    reader = UsageReader(work)
    for other in resources:
        if other.resource.gives == "alias":
            other.on_row = reader.put_alias
    with reader.series:
        yield reader


class _Chunks:
    """The chunks of a reader, one at a time, as ``pump`` receives them."""

    def __init__(self, reader: UsageReader) -> None:
        self._chunks = reader.chunks()

    async def receive(self) -> list[list[Series]]:
        """Return the next chunk."""
        chunk = next(self._chunks, None)
        if chunk is None:
            raise EndOfStream
        return [chunk]

    async def aclose(self) -> None:
        """Do nothing: the file is the reader's."""


def _check_listed(reply: Reply, metric: Metric) -> bool:
    """Check that a page of ListMetrics is about the metric that was asked for."""
    metrics = reply.document.get("Metrics")
    if not isinstance(metrics, list) or not all(isinstance(metric, dict) for metric in metrics):
        raise WrongAnswerError("ListMetrics: the page has no list of Metrics", code="invalid_page", http_status=200)
    for listed in metrics:
        if (listed.get("Namespace"), listed.get("MetricName")) != (NAMESPACE, metric.name):
            raise WrongAnswerError(
                "ListMetrics: the page has a metric that was not asked for", code="wrong_answer", http_status=200
            )
    return bool(metrics)


def _dimensions(metric: Mapping[str, Any]) -> list[Any]:
    dimensions = metric.get("Dimensions")
    return dimensions if isinstance(dimensions, list) else []
