"""Whatever AWS may send, every leaf of it is found again in the Parquet files, and no secret is."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from botocore.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexport.aws.json import parse_document
from lexport.dataset.parquet import TableFolder
from lexport.dataset.runs import write_run
from lexport.extract.decode import (
    decode_listed,
    decode_object,
    decode_typed_function,
    decode_typed_page,
    join_listed,
    split_listed,
)
from lexport.extract.flatten import Rules, flatten_carried, flatten_function
from lexport.extract.hash_key import HashKey
from lexport.extract.listing import _entries
from lexport.extract.match_response import next_marker_of
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables.functions import FUNCTIONS, TAGS
from lexport.tables.registry import BY_NAME

SCOPE = Scope(account_id="123456789012", region="us-west-2")
AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SNAPSHOT = "01KB0000000000000000000000"
KEY = b"0123456789abcdef"
SECRET = "S3CRET-OF-A-VARIABLE"
REMOVED = "[signed link removed]"
LINKS = (
    "https://awslambda-x-tasks.s3.x.amazonaws.com/f?X-Amz-Security-Token=c0ffee&X-Amz-Credential=c0ffee%2Fs3&X-Amz-Signature=c0ffee",
    "https%3A%2F%2Fs3.amazonaws.com%2Fk%3FX-Amz-Credential%3Dc0ffee%26X-Amz-Signature%3Dc0ffee",
)
LEAKS = re.compile("c0ffee|X-Amz-(?:Signature|Security-Token|Credential)(?:=|%3D)", re.IGNORECASE)

# Written by hand from the reference, not from the tables: path, type, column.
PATHS = """
Configuration.FunctionName text function_name
Configuration.Runtime text runtime
Configuration.Role text role
Configuration.Handler text handler
Configuration.CodeSize int64 code_size
Configuration.Description text description
Configuration.Timeout int32 timeout
Configuration.MemorySize int32 memory_size
Configuration.CodeSha256 text code_sha256
Configuration.Version text version
Configuration.VpcConfig.VpcId text vpc_config_vpc_id
Configuration.VpcConfig.Ipv6AllowedForDualStack bool vpc_config_ipv6_allowed_for_dual_stack
Configuration.DeadLetterConfig.TargetArn text dead_letter_config_target_arn
Configuration.Environment.Error.ErrorCode text environment_error_code
Configuration.Environment.Error.Message text environment_error_message
Configuration.KMSKeyArn text kms_key_arn
Configuration.TracingConfig.Mode text tracing_config_mode
Configuration.MasterArn text master_arn
Configuration.RevisionId text revision_id
Configuration.State text state
Configuration.StateReason text state_reason
Configuration.StateReasonCode text state_reason_code
Configuration.LastUpdateStatus text last_update_status
Configuration.LastUpdateStatusReason text last_update_status_reason
Configuration.LastUpdateStatusReasonCode text last_update_status_reason_code
Configuration.SigningProfileVersionArn text signing_profile_version_arn
Configuration.SigningJobArn text signing_job_arn
Configuration.PackageType text package_type
Configuration.ImageConfigResponse.ImageConfig.WorkingDirectory text image_config_working_directory
Configuration.ImageConfigResponse.Error.ErrorCode text image_config_error_code
Configuration.ImageConfigResponse.Error.Message text image_config_error_message
Configuration.EphemeralStorage.Size int32 ephemeral_storage_size
Configuration.SnapStart.ApplyOn text snap_start_apply_on
Configuration.SnapStart.OptimizationStatus text snap_start_optimization_status
Configuration.RuntimeVersionConfig.RuntimeVersionArn text runtime_version_config_runtime_version_arn
Configuration.RuntimeVersionConfig.Error.ErrorCode text runtime_version_config_error_code
Configuration.RuntimeVersionConfig.Error.Message text runtime_version_config_error_message
Configuration.LoggingConfig.LogFormat text logging_config_log_format
Configuration.LoggingConfig.ApplicationLogLevel text logging_config_application_log_level
Configuration.LoggingConfig.SystemLogLevel text logging_config_system_log_level
Configuration.LoggingConfig.LogGroup text logging_config_log_group
Configuration.TenancyConfig.TenantIsolationMode text tenancy_config_tenant_isolation_mode
{lmi}.CapacityProviderArn text capacity_provider_arn
{lmi}.PerExecutionEnvironmentMaxConcurrency int32 capacity_provider_per_environment_max_concurrency
{lmi}.ExecutionEnvironmentMemoryGiBPerVCpu double capacity_provider_environment_memory_gib_per_vcpu
Configuration.ConfigSha256 text config_sha256
Configuration.DurableConfig.KMSKeyArn text durable_config_kms_key_arn
Configuration.DurableConfig.RetentionPeriodInDays int32 durable_config_retention_period_in_days
Configuration.DurableConfig.ExecutionTimeout int32 durable_config_execution_timeout
Configuration.RuntimeConfig.RuntimeArn text runtime_config_runtime_arn
Configuration.RuntimeConfig.RuntimeAlias text runtime_config_runtime_alias
Configuration.AcceleratorConfig.AcceleratorMemorySize int32 accelerator_config_accelerator_memory_size
Code.RepositoryType text code_repository_type
Code.ImageUri text code_image_uri
Code.ResolvedImageUri text code_resolved_image_uri
Code.ResolvedS3Object.S3Bucket text code_resolved_s3_object_bucket
Code.ResolvedS3Object.S3Key text code_resolved_s3_object_key
Code.ResolvedS3Object.S3ObjectVersion text code_resolved_s3_object_version
Code.SourceKMSKeyArn text code_source_kms_key_arn
Code.Error.ErrorCode text code_error_code
Code.Error.Message text code_error_message
TagsError.ErrorCode text tags_error_code
TagsError.Message text tags_error_message
Concurrency.ReservedConcurrentExecutions int32 reserved_concurrent_executions
""".replace("{lmi}", "Configuration.CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig")
LAYER_PATHS = """
Arn text layer_arn
CodeSize int64 code_size
SigningProfileVersionArn text signing_profile_version_arn
SigningJobArn text signing_job_arn
"""
FILE_SYSTEM_PATHS = """
Arn text arn
LocalMountPath text local_mount_path
S3FilesConfig.DirectS3Read text s3_files_config_direct_s3_read
"""
C = "Configuration."
SPECIAL = {
    C + "FunctionArn": "arn",
    C + "LastModified": "instant",
    C + "Architectures": "one",
    C + "ImageConfigResponse.ImageConfig.EntryPoint": "array:image_config_entry_point",
    C + "ImageConfigResponse.ImageConfig.Command": "array:image_config_command",
    C + "VpcConfig.SubnetIds": "texts:subnets",
    C + "VpcConfig.SecurityGroupIds": "texts:security_groups",
    C + "Layers": "objects:layers",
    C + "FileSystemConfigs": "objects:file_systems",
    C + "Environment.Variables": "pairs:env_vars",
    "Tags": "pairs:tags",
    "Code.Location": "dropped",
}
INSTANTS = {
    "2020-04-10T19:06:32.563+0000": datetime(2020, 4, 10, 19, 6, 32, 563000, UTC),
    "2026-01-02T03:04:05Z": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "2026-01-02T03:04:05.5+02:00": datetime(2026, 1, 2, 1, 4, 5, 500000, UTC),
}


# --- what AWS may send ----------------------------------------------------------------------------------------------


def full_answer():
    """Build an answer with every field of botocore's model, recursively from its shapes, and those it does not know."""

    def build(shape, path):
        if shape.type_name == "structure":
            return {name: build(member, f"{path}.{name}".lstrip(".")) for name, member in shape.members.items()}
        if shape.type_name == "list":
            return [build(shape.member, f"{path}[{place}]") for place in range(1 if "Archit" in path else 2)]
        if shape.type_name == "map":
            return {f"{path} {place}": f"{SECRET} {place}" if "Env" in path else str(place) for place in range(2)}
        numbers = {"integer": len(path), "long": 2**40 + len(path), "double": 2.5, "boolean": True}
        return numbers.get(shape.type_name, f"text of {path}")

    document = build(Session().get_service_model("lambda").operation_model("GetFunction").output_shape, "")
    document["Configuration"] |= {
        "RuntimeConfig": {"RuntimeArn": "arn:aws:lambda:us-west-2:123456789012:runtime/r", "RuntimeAlias": "live"},
        "AcceleratorConfig": {"AcceleratorMemorySize": 24},
        "FunctionArn": "arn:aws:lambda:us-west-2:123456789012:function:f:7",
        "FunctionName": "f",
        "Version": "7",
        "LastModified": "2020-04-10T19:06:32.563+0000",
    }
    document["Code"]["Location"] = LINKS[0]
    return document


FULL = full_answer()

TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "null",
            "\x00",
            "lone \ud800 surrogate",
            "\U0001f40d",
            'quote " and \\',
            "X-Amz-Signature without sign",
            *INSTANTS,
            *(f"see {link} now" for link in LINKS),
            LINKS[0],
            f'{{"url": "{LINKS[1]}"}}',
        ]
    ),
    st.text(st.characters(), max_size=8),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1]),
    st.sampled_from([2**64 - 1, 2**64, 10**30, -(10**30), 0.0, 0.5, 1e300, -1e19, 5e-324]),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
KEYS = st.one_of(
    st.sampled_from(
        ["NewField", "a.b", "[0]", '["x"]', "", " ", "ключ", "nul\x00", "lone\udfff", "a[0].b", f"x {LINKS[0]}", "'"]
    ),
    st.text(st.characters(), max_size=4),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def places(value, path=()):
    """Every place in a JSON value, the whole itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield (*path, key)
        yield from places(item, (*path, key))


def at(document, path):
    for step in path:
        document = document[step]
    return document


CHANGES = ["absent", "null", "value", "scalar", "wrapped", "item", "unknown", "unknown"]


@st.composite
def answers(draw):
    """A full answer, changed at some places: absent, null, other values, wrong types, wrapped, with unknown fields."""
    document = draw(st.sampled_from([FULL, FULL, FULL, {}, {"Configuration": {}, "Code": {}}]))
    document = copy.deepcopy(document)
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=12)):
        everywhere = list(places(document))
        if change == "unknown" or not everywhere:
            objects = [(), *(path for path in everywhere if isinstance(at(document, path), dict))]
            at(document, draw(st.sampled_from(objects)))[draw(KEYS)] = draw(VALUES)
            continue
        *parents, last = draw(st.sampled_from(everywhere))
        parent = at(document, parents)
        if change == "absent":
            del parent[last]
        elif change == "null":
            parent[last] = None
        elif change == "scalar":
            parent[last] = draw(SCALARS)
        elif change == "value":
            parent[last] = draw(VALUES)
        elif change == "wrapped":
            parent[last] = [parent[last]]
        elif isinstance(parent[last], list):
            parent[last].append(draw(VALUES))
    return document


# --- what must come of it, by hand ----------------------------------------------------------------------------------


def as_sent(value):
    """What a table can hold of a value: pairs of surrogates joined, lone ones and NUL replaced."""
    if isinstance(value, str):
        return re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [as_sent(item) for item in value]
    if isinstance(value, dict):
        done = {}
        for key, item in value.items():
            name = as_sent(key)
            while name in done:
                name += "\ufffd"
            done[name] = as_sent(item)
        return done
    return value


def scrub(value, *, masks):
    """A value without its links, and without variables where they must not show."""
    if isinstance(value, str):
        for link in LINKS:
            value = value.replace(link, REMOVED)
        return value
    if isinstance(value, list):
        return [scrub(item, masks=masks) for item in value]
    if isinstance(value, dict):
        return {
            scrub(key, masks=masks): outline(item) if is_guarded(key, item, masks=masks) else scrub(item, masks=masks)
            for key, item in value.items()
        }
    return value


def is_guarded(key, item, *, masks):
    """Whether what stands below one of the keys that answers are made of may be a secret."""
    is_of_environment = key in ("Environment", "Variables") or (
        "Environment" in str(key) and type(item) in (list, dict)
    )
    return str(key).lower() == "code" or (masks and is_of_environment)


def outline(item):
    kinds = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    kind = "null" if item is None else kinds[type(item)]
    if kind == "number":  # how many digits is not the point
        return {"type": kind}
    return {"type": kind, "length": len(item if isinstance(item, str | list | dict) else json.dumps(item))}


def fits(kind, item):
    if kind in ("int32", "int64"):
        bits = 31 if kind == "int32" else 63
        return type(item) is int and -(2**bits) <= item < 2**bits
    return type(item) in {"text": (str,), "bool": (bool,), "double": (float, int)}[kind]


class Expected:
    """The rows that an answer must become, from the list of paths above."""

    def __init__(self, document, env):
        self.masks = env != "values"
        self.env = env
        self.row = {}
        self.extra = {}
        self.wrong = []
        self.tables = {
            name: [] for name in ("subnets", "security_groups", "layers", "file_systems", "env_vars", "tags")
        }
        self.walk(document, (), PATHS, self.row, self.extra)
        self.row.setdefault("function_name", None)
        self.row["function_name"] = self.row["function_name"] or "asked-for"
        self.row["version"] = self.row.get("version") or "$LATEST"
        if self.extra:
            self.row["extra_json"] = self.extra
        key = {"function_name": self.row["function_name"], "version": self.row["version"]}
        for name, rows in self.tables.items():
            for row in rows:
                row.update({"function_name": key["function_name"]} if name == "tags" else key)
        if env == "none":
            self.tables["env_vars"] = []

    def keep(self, path, item, extra):
        above = (is_guarded(key, {}, masks=self.masks) for key in path[:-1])
        is_masked = any(above) or is_guarded(path[-1], item, masks=self.masks)
        path = tuple(scrub(step, masks=False) if isinstance(step, str) else step for step in path)
        extra[path] = outline(item) if is_masked else scrub(item, masks=self.masks)

    def bad(self, path, item, extra):
        self.wrong.append(path)
        self.keep(path, item, extra)

    def walk(self, value, path, paths, row, extra):
        types = {tuple(line.split()[0].split(".")): line.split()[1:] for line in paths.strip().splitlines()}
        specials = {tuple(name.split(".")): what for name, what in SPECIAL.items()} if paths is PATHS else {}
        known = set(types) | set(specials)
        objects = {name[:end] for name in known for end in range(1, len(name))}

        def visit(node, here):
            for key, item in node.items():
                spot = (*here, key)
                full = (*path, *spot)
                if item is None:
                    continue
                if spot in objects:
                    visit(item, spot) if isinstance(item, dict) else self.bad(full, item, extra)
                elif spot in types:
                    kind, column = types[spot]
                    if fits(kind, item):
                        row[column] = float(item) if kind == "double" else scrub(item, masks=False)
                    else:
                        self.bad(full, item, extra)
                elif spot in specials:
                    what, _, name = specials[spot].partition(":")
                    getattr(self, what)(item, full, name)
                else:
                    self.keep(full, item, extra)

        visit(value, ())

    def dropped(self, item, path, name):
        pass

    def arn(self, item, path, name):
        if isinstance(item, str):
            self.row["function_arn"] = scrub(re.sub(r"^(arn(:[^:]*){6}):[^:]*\Z", r"\1", item), masks=False)
        else:
            self.bad(path, item, self.extra)

    def instant(self, item, path, name):
        if not isinstance(item, str):
            self.bad(path, item, self.extra)
            return
        self.row["last_modified"] = scrub(item, masks=False)
        if item in INSTANTS:
            self.row["last_modified_at"] = INSTANTS[item]
        elif item:
            self.wrong.append(path)

    def one(self, item, path, name):
        if isinstance(item, list) and len(item) == 1 and isinstance(item[0], str):
            self.row["architecture"] = scrub(item[0], masks=False)
        elif item not in ([], [None]):
            self.bad(path, item, self.extra)

    def array(self, item, path, name):
        if isinstance(item, list) and all(isinstance(part, str) for part in item):
            self.row[name] = scrub(item, masks=False)
        else:
            self.bad(path, item, self.extra)

    def texts(self, item, path, name):
        if not isinstance(item, list):
            self.bad(path, item, self.extra)
            return
        for place, part in enumerate(item):
            if isinstance(part, str):
                column = "subnet_id" if name == "subnets" else "security_group_id"
                self.tables[name].append({column: scrub(part, masks=False)})
            elif part is not None:
                self.bad((*path, place), part, self.extra)

    def objects(self, item, path, name):
        if not isinstance(item, list):
            self.bad(path, item, self.extra)
            return
        for place, part in enumerate(item):
            if isinstance(part, dict):
                row, extra = {"position": place}, {}
                self.walk(part, (), LAYER_PATHS if name == "layers" else FILE_SYSTEM_PATHS, row, extra)
                if extra:
                    row["extra_json"] = extra
                self.tables[name].append(row)
            elif part is not None:
                self.bad((*path, place), part, self.extra)

    def pairs(self, item, path, name):
        if not isinstance(item, dict):
            self.bad(path, item, self.extra)
            return
        for key, value in item.items():
            if isinstance(value, str):
                row = {"key" if name == "tags" else "name": scrub(key, masks=False)}
                if name == "tags":
                    row["value"] = scrub(value, masks=False)
                else:
                    digest = hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32]
                    row |= {"value_length": len(value), "value_hmac": digest, "hash_key_id": HashKey(KEY).key_id}
                    if self.env == "values":
                        row["value"] = scrub(value, masks=False)
                self.tables[name].append(row)
            elif value is not None:
                self.bad((*path, key), value, self.extra)


STEP = re.compile(r'\.?(?:([A-Za-z0-9_-]+)|\[("(?:[^"\\]|\\.)*")\])|\[(\d+)\]', re.DOTALL)


def read_path(text):
    """Take a path of extra_json apart; there is one way to do it."""
    steps, end = [], 0
    while end < len(text):
        match = STEP.match(text, end)
        plain, quoted, place = match.groups()
        steps.append(plain or (json.loads(quoted, strict=False) if quoted else int(place)))
        end = match.end()
    return tuple(steps)


def without_length(item):
    if isinstance(item, dict):
        if item.keys() == {"type", "length"} and item["type"] == "number":
            return {"type": "number"}
        return {key: without_length(value) for key, value in item.items()}
    return [without_length(value) for value in item] if isinstance(item, list) else item


def read_extra(text):
    done = {}
    for path, item in json.loads(text).items():
        done[read_path(path)] = without_length(item)
    return done


def canonical(rows):
    """Rows in a form where True is not 1, nor 1 1.0, without what is NULL, in any order."""

    def one(value):
        if isinstance(value, dict):
            return sorted((repr(key), one(item)) for key, item in value.items())
        if isinstance(value, datetime):
            return value.isoformat()
        return [one(item) for item in value] if isinstance(value, list) else repr(value)

    return sorted(
        (sorted((name, one(value)) for name, value in row.items() if value is not None) for row in rows), key=repr
    )


DUCKDB = duckdb.connect()
DUCKDB.execute("SET TimeZone = 'UTC'")

# --- the way itself -------------------------------------------------------------------------------------------------


def flatten(document, env):
    """Send a document through parser and flattening; return its rows, version and findings, the same both ways."""
    body = json.dumps(document).encode()
    value, cleaned = parse_document(body)
    found = flatten_reply(Reply(parsed=value, body=body, cleaned=cleaned), env)
    decoded = decode_typed_function(json.dumps(document, separators=(",", ":")).encode())
    if decoded is not None:
        assert flatten_reply(decoded, env) == found
    return found


def flatten_reply(reply, env):
    rows = Rows(None if env == "none" else ValueHasher(HashKey(KEY)))
    version, findings = flatten_function(
        reply,
        FunctionRef(function_name="asked-for"),
        scope=SCOPE,
        rules=Rules(env=env, fetched_at=AT),
        answer="0",
        rows=rows,
    )
    return rows.take(), version, findings


def through_parquet(batch, folder):
    """Write every table and read it back twice, by pyarrow and by DuckDB; return both."""
    seen = ({}, {})
    for name, rows in batch.items():
        write_run(BY_NAME[name], [rows], folder / f"{name}.arrow", 0o600)
    tables = TableFolder(path=folder, snapshot_id=SNAPSHOT, snapshot_at=AT)
    tables.write_versions([folder / "functions.arrow"])
    if "tags" in batch:
        tables.write(TAGS, [folder / "tags.arrow"])
    for path in folder.glob("*.parquet"):
        name = path.stem
        seen[0][name] = pq.read_table(path, page_checksum_verification=True).to_pylist()
        seen[1][name] = (
            DUCKDB.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)}).to_arrow_table().to_pylist()
        )
    return seen


def found_rows(tables):
    """The rows without what the run adds, JSON read."""
    done = {}
    for name, rows in tables.items():
        for row in rows:
            assert (row.pop("snapshot_id"), row.pop("snapshot_at")) == (SNAPSHOT, AT)
            assert (row.pop("account_id"), row.pop("region")) == ("123456789012", "us-west-2")
            if name == "functions":
                assert (row.pop("fetched_at"), row.pop("carried_forward")) == (AT, False)
            if row.get("extra_json") is not None:
                row["extra_json"] = read_extra(row["extra_json"])
            for column in ("image_config_entry_point", "image_config_command"):
                if row.get(column) is not None:
                    row[column] = json.loads(row[column])
        done[name] = canonical(rows)
    return done


def check(document, env):
    """One answer, all the way, against the expectation."""
    expected = Expected(as_sent(json.loads(json.dumps(document))), env)
    tables = {"functions": [expected.row], **expected.tables}
    batch, version, findings = flatten(document, env)
    with TemporaryDirectory() as folder:
        by_arrow, by_duckdb = through_parquet(batch, Path(folder))
    shown = repr(({name: rows.to_pylist() for name, rows in batch.items()}, findings))

    assert not LEAKS.search(shown)
    assert (SECRET in shown) <= (env == "values")
    assert version == expected.row["version"]
    for found in (by_arrow, by_duckdb):
        assert {name: rows for name, rows in found_rows(found).items() if rows} == {
            name: canonical(rows) for name, rows in tables.items() if rows
        }
    codes = Counter(finding.code for finding in findings)
    assert codes["wrong_type"] == len(expected.wrong)
    assert (codes["cleaned_text"] > 0) == (parse_document(json.dumps(document).encode())[1] > 0)
    assert (REMOVED in shown) <= (codes["signed_link_removed"] > 0)
    assert set(codes) <= {"wrong_type", "cleaned_text", "signed_link_removed"}


@pytest.mark.parametrize("env", ["keys", "values", "none"])
def test_the_full_answer(env):
    """Every field that AWS's model knows, filled at once, comes through with nothing left over."""
    check(FULL, env)
    batch, _, findings = flatten(FULL, env)
    (row,) = batch["functions"].select(FUNCTIONS.names()[2:]).to_pylist()

    assert [name for name, value in row.items() if value is None] == ["extra_json"]
    assert findings == []


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(answers(), st.sampled_from(["keys", "values", "none"]))
def test_no_leaf_is_lost_and_no_secret_told(document, env):
    """Known leaves are in their columns, unknown and wrong ones in extra_json, secrets and links nowhere."""
    check(document, env)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(places(FULL), key=repr)), VALUES, st.sampled_from(["keys", "values", "none"]))
def test_each_place_takes_anything(place, value, env):
    """Whatever stands at any one place of a full answer, the rest is not touched by it."""
    document = copy.deepcopy(FULL)
    at(document, place[:-1])[place[-1]] = value
    check(document, env)


@pytest.mark.slow
def test_each_leaf_absent_or_null():
    """Each place of the full answer, left out or null, gives NULL there and leaves everything else as it was."""
    for number, place in enumerate(places(FULL)):
        document = copy.deepcopy(FULL)
        if number % 2:
            at(document, place[:-1])[place[-1]] = None
        else:
            del at(document, place[:-1])[place[-1]]
        expected = Expected(document, "keys")
        batch, _, findings = flatten(document, "keys")
        names = FUNCTIONS.names()[2:]
        (row,) = batch["functions"].select(names).to_pylist()
        nulls = {name for name in names if row[name] is None}

        assert nulls == set(names) - set(expected.row) - {"account_id", "region", "fetched_at", "carried_forward"}
        assert [finding.code for finding in findings] == ["wrong_type"] * len(expected.wrong)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["keys", "values", "none"]), st.sampled_from(sorted(places(FULL), key=repr)), NUMBERS)
def test_each_place_takes_any_number(env, place, number):
    """A number of any size at any place is in its column where it fits, else raw and exact in extra_json."""
    document = copy.deepcopy(FULL)
    at(document, place[:-1])[place[-1]] = number
    check(document, env)


# --- ordinary answers, decoded at once -------------------------------------------------------------------------------

BODY = json.dumps(FULL | {"Tags": {"ключ": "\U0001f40d"}}, separators=(",", ":"), ensure_ascii=False).encode()
NEW_VALUES = ["0", "-0", "7", "1.0", "1e2", "01", "1e999", "2147483648", "-9223372036854775809", "NaN", "true", "false"]
NEW_VALUES += ["null", "null", '""', '"x"', '"x"', "[]", "{}", '["x"]', "[null]", '{"a":"b"}', '{"ErrorCode":""}']
PIECES = [
    *(
        r"\u0041",
        r"\u0000",
        r"\ud800",
        r"\/",
        r"\n",
        r"\"",
        "\n",
        "\x00",
        "\x7f",
        "\ufeff",
        "\u017f",
        "\u212a",
        "%",
        "=",
        "/",
    ),
    *("X-Amz-Signature=c0ffee", "x-amz-\u017fignature=c0ffee", "?Signature%253Dc0ffee", r"AWSAccessKeyId\u003d", " "),
]


@st.composite
def bodies(draw, body=BODY):
    """The bytes of a full answer with other values, keys that come twice, odd characters and odd borders."""
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        key = draw(st.sampled_from(list(re.finditer(rb'("[A-Za-z0-9]+":)("[^"]*"|[0-9.]+|true)?', body))))
        value = draw(st.sampled_from(NEW_VALUES)).encode()
        piece = draw(st.sampled_from(PIECES)).encode()
        start, end, new = draw(
            st.sampled_from(
                [
                    (*key.span(2), value) if key[2] else (key.start(), key.start(), key[1] + value + b","),
                    (key.start(), key.start(), key[1] + value + b","),
                    (key.end(1) + 1, key.end(1) + 1, piece),
                    (key.start() + 1, key.start() + 1, piece),
                    (key.start(), key.start(), draw(st.sampled_from([b" ", b"\t", b",", b"}", b"{", b"1", b'"']))),
                ]
            )
        )
        body = body[:start] + new + body[end:]
    return body


@settings(max_examples=1500, deadline=None)
@given(bodies())
def test_what_is_decoded_at_once_is_what_is_read_with_care(body):
    """Any bytes are decoded to the very rows, document and link that careful reading gives, or not at all."""
    decoded = decode_typed_function(body)
    if decoded is not None:
        careful = decode_object(body)

        assert flatten_reply(decoded, "values") == flatten_reply(careful, "values")
        assert (decoded.document, decoded.location) == (careful.document, careful.location)
        assert careful.cleaned == 0
        assert not LEAKS.search(decoded.body.decode())


@settings(max_examples=500, deadline=None)
@given(bodies(json.dumps(FULL["Configuration"], separators=(",", ":")).encode()), st.sampled_from(["keys", "values"]))
def test_a_listed_version_is_what_careful_reading_makes_of_it(item, env):
    """A version that is carried forward is the same row however its listing was read, or is fetched."""
    listed = decode_listed(item)
    if listed is not None:
        body = b'{"Configuration":%b}' % item
        document, cleaned = parse_document(body)

        assert cleaned == 0
        assert carry(listed, env) == carry(Reply(body=body, parsed=document), env)
        assert carry(join_listed(*split_listed(item)), env) == carry(listed, env)


@settings(max_examples=200, deadline=None)
@given(answers())
def test_what_is_written_of_a_waiting_listing_holds_no_variable(document):
    """Whatever a listed version is, its values are kept apart from what goes into a file."""
    plain, _ = split_listed(json.dumps(document.get("Configuration")).encode())

    assert SECRET.encode() not in plain


PAGE = json.dumps(
    {
        "Functions": [
            {"FunctionName": "f", "Version": "7", "FunctionArn": FULL["Configuration"]["FunctionArn"], "Timeout": 3},
            {
                "FunctionName": "g",
                "Version": "$LATEST",
                "FunctionArn": "arn:g",
                "Layers": [{"Arn": "a"}],
                "Environment": {"Variables": {"A": "1"}},
            },
        ],
        "NextMarker": "m",
    },
    separators=(",", ":"),
).encode()


@settings(max_examples=500, deadline=None)
@given(bodies(PAGE), st.booleans())
def test_a_page_is_what_careful_reading_makes_of_it(body, keeps_items):
    """The versions, their listings and the marker of any page are the same, or it is not decoded."""
    decoded = decode_typed_page(body, "Functions")
    if decoded is not None:
        careful, lost = decode_object(body), []
        entries, listings = _entries(decoded, "Functions", "ListFunctions", None, keeps_items=keeps_items)
        expected = _entries(careful, "Functions", "ListFunctions", lost.append, keeps_items=keeps_items)

        assert (entries, lost, next_marker_of(decoded)) == (expected[0], [], next_marker_of(careful))
        assert decoded.document == careful.document
        if not careful.cleaned:
            assert [item and parse_document(item) for item in listings] == [
                item and parse_document(item) for item in expected[1]
            ]


def carry(listed, env):
    rows = Rows(ValueHasher(HashKey(KEY)))
    older = {"state": "Active", "fetched_at": AT, "extra_json": None}
    ref, rules = FunctionRef(function_name="f", qualifier="7"), Rules(env=env, fetched_at=AT)
    findings = flatten_carried(ref, listed, older, scope=SCOPE, rules=rules, answer="0", rows=rows)
    return rows.take(), findings


def test_the_full_answer_is_decoded_at_once():
    """Else the tests above show nothing."""
    assert decode_typed_function(BODY) is not None
    assert decode_typed_page(PAGE, "Functions") is not None
