"""The views of what calls functions and where their events end, on a small hand-written fleet, with all their rows."""

from datetime import UTC, datetime

import pytest

A, B, R, U = "111122223333", "444455556666", "eu-west-1", "us-east-1"
MAY = datetime(2026, 5, 1, tzinfo=UTC)
QUEUE, STREAM = f"arn:aws:sqs:{R}:{A}:orders", f"arn:aws:kinesis:{R}:{A}:stream/clicks"
FAILED, BUS, BUCKET = f"arn:aws:sqs:{R}:{A}:failed", f"arn:aws:events:{R}:{A}:event-bus/acme", "arn:aws:s3:::failed"
KAFKA = '{"KAFKA_BOOTSTRAP_SERVERS":["b:9092"]}'
STEP = f"arn:aws:lambda:{R}:{B}:function:step:live"
RULE, URL = f"arn:aws:events:{R}:{A}:rule/nightly", "https://x.lambda-url.eu-west-1.on.aws/"
OK, UNREAD = "OK", "unread"


def mapping(uuid, function_name, **fields):
    """Return a row of ``event_source_mappings``: a queue that works, where nothing else is said."""
    return {
        "uuid": uuid,
        "function_name": function_name,
        "qualifier": "$LATEST",
        "event_source_type": "sqs",
        "event_source_arn": QUEUE,
        "state": "Enabled",
        "last_modified_at": MAY,
    } | fields


def stream(uuid, function_name, **fields):
    return mapping(uuid, function_name, event_source_type="kinesis", event_source_arn=STREAM) | fields


def allows(position, principal, principal_type="Service", **fields):
    """Return a row of ``policy_statements`` of ``api`` that allows InvokeFunction."""
    return {
        "function_name": "api",
        "qualifier": "$LATEST",
        "position": position,
        "sid": f"s{position}",
        "effect": "Allow",
        "principal_type": principal_type,
        "principal": principal,
        "is_public_principal": principal == "*",
        "covers_invoke_function": True,
    } | fields


def function(name, version="$LATEST", **fields):
    return {"function_name": name, "version": version} | fields


def whole(region, **statuses):
    """Return the rows of ``scope_resources`` of an account-region, read whole where nothing else is said."""
    names = ("event-sources", "invoke-configs", "policies", "urls")
    given = {name.replace("_", "-"): status for name, status in statuses.items()}
    return [{"region": region, "resource": name, "status": given.get(name, "complete")} for name in names]


FLEET = {
    "scopes": [{"aliases": 1, "function_count_reported": 4}, {"region": U, "function_count_reported": 1}],
    "scope_resources": [
        *whole(R),
        *whole(U, event_sources="denied", invoke_configs="not_requested", policies="partial", urls="unavailable"),
    ],
    "functions": [
        function("worker", dead_letter_config_target_arn=""),
        function("worker", "1", dead_letter_config_target_arn=FAILED),
        function("api"),
        function("far", region=U),
    ],
    "aliases": [{"function_name": "worker", "alias": "live", "function_version": "1"}],
    "event_source_mappings": [
        mapping("u01", "worker"),
        mapping("u02", "worker", qualifier="live", state="Disabled", state_transition_reason="USER_INITIATED"),
        mapping("u03", "worker", qualifier="old"),
        mapping("u04", "worker", qualifier="7"),
        mapping("u05", "gone"),
        mapping("u06", "api", filter_criteria_error_code="KMSAccessDenied", filter_criteria_error_message="denied"),
        stream("u07", "api", maximum_retry_attempts=-1, maximum_record_age_in_seconds=-1, last_processing_result=OK),
        stream("u08", "api", maximum_retry_attempts=3, last_processing_result="PROBLEM: Function call failed"),
        stream("u09", "api", maximum_retry_attempts=-1, on_failure_destination=BUCKET),
        stream("u10", "api", maximum_retry_attempts=-1, maximum_record_age_in_seconds=60),
        mapping(
            "u11",
            "api",
            event_source_type="self_managed_kafka",
            event_source_arn=None,
            self_managed_event_source_endpoints=KAFKA,
        ),
    ],
    "event_invoke_configs": [
        {"function_name": "worker", "qualifier": "$LATEST", "maximum_retry_attempts": 1},
        {"function_name": "worker", "qualifier": "live"},  # version 1 has a dead-letter target
        {"function_name": "api", "qualifier": "$LATEST", "on_success_destination": STEP, "on_failure_destination": BUS},
    ],
    "function_urls": [
        {"function_name": "api", "qualifier": "live", "function_url": URL, "auth_type": "NONE"},
    ],
    "policy_statements": [
        allows(0, "events.amazonaws.com", source_arn=RULE),
        allows(1, "events.amazonaws.com", source_arn=RULE, sid="s0"),  # another action of the same statement
        allows(2, "s3.amazonaws.com", source_arn="arn:aws:s3:::in"),
        allows(3, "apigateway.amazonaws.com"),
        allows(4, "logs.eu-west-1.amazonaws.com"),
        allows(5, B, "AWS"),
        allows(6, f"arn:aws:iam::{A}:role/caller", "AWS"),
        allows(7, "*", "*", principal_org_id="o-1"),
        allows(8, "*", "AWS"),
        allows(9, "sns.amazonaws.com", effect="Deny"),
        allows(10, "*", "*", invoked_via_function_url=True),
        allows(11, "*", "*", covers_invoke_function=False),
    ],
}


def unread(*statuses):
    """Return the ends of rows of ``unread``: nothing but the resource and its status."""
    return [(A, U, None, None, *status) for status in statuses]


EXPECTED = {
    "function_destinations": [
        (A, R, "api", "$LATEST", "async_failure", "event_bus", BUS, None, None, None, None),
        (A, R, "api", "$LATEST", "async_success", "function", STEP, None, None, None, None),
        (A, R, "api", "$LATEST", "batch_failure", "bucket", BUCKET, STREAM, "u09", None, None),
        (A, R, "worker", "1", "dead_letter", "queue", FAILED, None, None, None, None),
        *unread(
            (UNREAD, None, None, None, None, "event-sources", "denied"),
            (UNREAD, None, None, None, None, "invoke-configs", "not_requested"),
        ),
    ],
    "function_triggers": [
        (A, R, "api", "$LATEST", "queue", "event-sources", QUEUE, None, None, "u06", "Enabled"),
        *(
            (A, R, "api", "$LATEST", "stream", "event-sources", STREAM, None, None, uuid, "Enabled")
            for uuid in ("u07", "u08", "u09", "u10")
        ),
        (A, R, "api", "$LATEST", "topic", "event-sources", KAFKA, None, None, "u11", "Enabled"),
        (A, R, "api", "$LATEST", "account", "policies", B, B, "s5", None, None),
        (A, R, "api", "$LATEST", "anyone", "policies", "*", "*", "s8", None, None),
        (A, R, "api", "$LATEST", "api", "policies", None, "apigateway.amazonaws.com", "s3", None, None),
        (A, R, "api", "$LATEST", "bucket", "policies", "arn:aws:s3:::in", "s3.amazonaws.com", "s2", None, None),
        (A, R, "api", "$LATEST", "organization", "policies", "*", "*", "s7", None, None),
        (A, R, "api", "$LATEST", "principal", "policies", *[f"arn:aws:iam::{A}:role/caller"] * 2, "s6", None, None),
        (A, R, "api", "$LATEST", "schedule", "policies", RULE, "events.amazonaws.com", "s0", None, None),
        (A, R, "api", "$LATEST", "service", "policies", None, "logs.eu-west-1.amazonaws.com", "s4", None, None),
        (A, R, "api", "live", "url", "urls", URL, None, None, None, "NONE"),
        (A, R, "gone", "$LATEST", "queue", "event-sources", QUEUE, None, None, "u05", "Enabled"),
        (A, R, "worker", "$LATEST", "queue", "event-sources", QUEUE, None, None, "u01", "Enabled"),
        (A, R, "worker", "7", "queue", "event-sources", QUEUE, None, None, "u04", "Enabled"),
        (A, R, "worker", "live", "queue", "event-sources", QUEUE, None, None, "u02", "Disabled"),
        (A, R, "worker", "old", "queue", "event-sources", QUEUE, None, None, "u03", "Enabled"),
        *unread(
            (UNREAD, "event-sources", None, None, None, None, "denied"),
            (UNREAD, "invoke-configs", None, None, None, None, "not_requested"),
            (UNREAD, "policies", None, None, None, None, "partial"),
        ),
        (
            *(B, R, "step", "live", "function", "invoke-configs"),
            *(f"arn:aws:lambda:{R}:{A}:function:api", None, None, None, None),
        ),
    ],
    "failing_event_sources": [
        (
            *(A, R, "worker", "live", "u02", "sqs", QUEUE, "disabled", "Disabled", "USER_INITIATED"),
            *(None, None, MAY),
        ),
        (
            *(A, R, "api", "$LATEST", "u08", "kinesis", STREAM, "failing", "Enabled", None),
            *("PROBLEM: Function call failed", None, MAY),
        ),
        (A, R, "api", "$LATEST", "u06", "sqs", QUEUE, "filters", "Enabled", None, None, "denied", MAY),
        *unread((None, None, None, UNREAD, "denied", None, None, None, None)),
    ],
    "orphaned_event_sources": [
        (A, R, "worker", "old", "u03", "alias", "sqs", QUEUE, "Enabled", MAY),
        (A, R, "gone", "$LATEST", "u05", "function", "sqs", QUEUE, "Enabled", MAY),
        (A, R, "worker", "7", "u04", "version", "sqs", QUEUE, "Enabled", MAY),
        *unread((None, UNREAD, None, None, "denied", None)),
    ],
    "retries_without_dead_letter": [
        (A, R, "api", "$LATEST", "stream", -1, -1, STREAM, "u07", None, None),
        (A, R, "worker", "$LATEST", "async", 1, None, None, None, None, None),
        *unread(
            (UNREAD, None, None, None, None, "event-sources", "denied"),
            (UNREAD, None, None, None, None, "invoke-configs", "not_requested"),
        ),
    ],
}


@pytest.fixture(scope="module")
def rows_of(tmp_path_factory, write_dataset):
    """Return a function: the rows of a view on the fleet."""
    from lexport.query.sql import open_query_session

    dest = tmp_path_factory.mktemp("triggers") / "fleet"
    write_dataset(dest, [FLEET])
    with open_query_session(dest) as session:
        yield lambda query: [tuple(row.values()) for row in session.read(query).read_all().to_pylist()]


@pytest.mark.parametrize("view", EXPECTED)
def test_rows(rows_of, view):
    """A view returns exactly the expected rows, in order, and says which resource was not read."""
    assert rows_of(f"SELECT * FROM {view}") == EXPECTED[view]


def test_functions_that_were_not_listed_are_no_orphans(ask):
    """Where `$LATEST` was left out of the reading, no mapping is called one of a deleted function."""
    mappings = [mapping("u1", "unpublished"), mapping("u2", "gone", region=U)]
    scopes = [{"function_count_reported": 3}, {"region": U, "function_count_reported": 0}]
    snapshot = {"scopes": scopes, "functions": [function("api", "1")], "event_source_mappings": mappings}

    assert ask([snapshot], "SELECT uuid, missing FROM orphaned_event_sources") == [("u2", "function")]
