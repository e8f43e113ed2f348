"""The tables against AWS's own model: nothing AWS can send is forgotten."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import botocore
import pytest
from botocore.model import ServiceModel
from botocore.session import get_session
from botocore.validate import ParamValidator

from lexport.aws.endpoints import _CLIENTS
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import SCHEMAS, TABLES, without_schema
from lexport.query.warehouse.native_tables import native_tables
from lexport.tables import registry
from lexport.tables.call import JsonCall
from lexport.tables.convert import JSON
from lexport.tables.events import LOOKUP_EVENTS
from lexport.tables.functions import FILE_SYSTEMS, FUNCTIONS, LAYERS
from lexport.tables.registry import BY_NAME, NEVER_STORED, staged_tables
from lexport.tables.staged import ANSWER, staged_names
from lexport.tables.table import BOOL, DOUBLE, INT32, INT64, TEXT, TIMESTAMP

DECLARED = [LOOKUP_EVENTS, *(call for read in registry.resources() for call in (read.call, *read.lists))]
JSON_CALLS = [call for call in DECLARED if isinstance(call, JsonCall)]
CALLS = [call for call in DECLARED if call not in JSON_CALLS]
READ = [read for read in registry.resources() if read.call in CALLS]
LONGEST_NAME = 63  # PostgreSQL: NAMEDATALEN - 1
SCALAR_TABLES = [FUNCTIONS, LAYERS, FILE_SYSTEMS]

# Paths that AWS documents and that aiobotocore's botocore does not know yet.
NEWER_THAN_BOTOCORE = {
    "Configuration.RuntimeConfig.RuntimeArn",
    "Configuration.RuntimeConfig.RuntimeAlias",
    "Configuration.AcceleratorConfig.AcceleratorMemorySize",
}

# Leaves that have no column on purpose, and why.
LEFT_TO_EXTRA_JSON: set[str] = set()
LEFT_OUT = {
    "LayerArn": "the ARN of the layer version without its number",
    "Version": "the number at the end of the ARN of the layer version",
    "Content.SigningProfileVersionArn": "`layers` has it",
    "Content.SigningJobArn": "`layers` has it",
    "Content.ResolvedS3Object.S3Bucket": "where a reference lies, which `reason` tells",
    "Content.ResolvedS3Object.S3Key": "where a reference lies, which `reason` tells",
    "Content.ResolvedS3Object.S3ObjectVersion": "where a reference lies, which `reason` tells",
    "NextMarker": "belongs to the page",
    "AccountLimit.CodeSizeUnzipped": "the same for every account",
    "AccountLimit.CodeSizeZipped": "the same for every account",
}


@pytest.fixture(scope="module")
def model():
    path = Path(botocore.__file__).parent / "data" / "lambda" / "2015-03-31"
    plain, packed = path / "service-2.json", path / "service-2.json.gz"
    if plain.exists():
        return json.loads(plain.read_bytes())
    import gzip

    return json.loads(gzip.decompress(packed.read_bytes()))


def leaves(model, operation):
    """Every path of an operation's answer that holds a scalar: ``[]`` for list items, ``{}`` for map values."""

    def walk(shape, path):
        if shape.type_name == "structure":
            return {
                leaf for name, member in shape.members.items() for leaf in walk(member, f"{path}.{name}".lstrip("."))
            }
        if shape.type_name == "list":
            return walk(shape.member, path + "[]")
        if shape.type_name == "map":
            return walk(shape.value, path + "{}")
        return {path}

    return walk(ServiceModel(model, "lambda").operation_model(operation).output_shape, "")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.operation)
def test_a_call_is_as_aws_declares_it(model, call):
    """Path, query and pages of a declared call are those of AWS's model."""
    operation = ServiceModel(model, "lambda").operation_model(call.operation)
    path, _, query = operation.http["requestUri"].partition("?")
    members = operation.input_shape.members.values()
    names = {shape.serialization["name"] for shape in members if shape.serialization.get("location") == "querystring"}
    declared = {name.removesuffix("=") for name, _, _ in call.query_parts()}

    assert operation.http["method"] == "GET"
    assert re.sub(r"{\w+}", "{}", call.path) == re.sub(r"{\w+}", "{}", path).rstrip("/")
    assert declared - names <= {part.partition("=")[0] for part in query.split("&")}
    if call.page is not None:
        assert {call.page.items, call.page.next_marker} <= operation.output_shape.members.keys()


@pytest.mark.parametrize("call", JSON_CALLS, ids=lambda call: call.operation)
def test_a_json_call_is_as_aws_declares_it(call):
    """Service, target and version of a call of the JSON protocol are those of AWS's model; its trial call is valid."""
    name, _ = _CLIENTS[call.service]
    service = get_session().get_service_model(name)
    operation = service.operation_model(call.operation)
    report = ParamValidator().validate(dict(call.trial), operation.input_shape)

    assert (service.signing_name, service.metadata["targetPrefix"]) == (call.service, call.target)
    assert service.metadata["jsonVersion"] == call.version
    assert "json" in service.metadata["protocols"]
    assert (operation.http["method"], operation.http["requestUri"]) == ("POST", "/")
    assert not report.has_errors(), report.generate_report()


def sources(tables):
    """Every path that a column is read from, list items as ``[]``."""
    columns = (column for table in tables for column in table.columns)
    found = {column.source.replace("[0]", "[]") for column in columns if column.source}
    return found | {path.partition(".")[0] for path in found if path in within_documents()}


def within_documents():
    """Every path within a text of an answer that is a document of its own: AWS's model says nothing of it."""
    tables = {table for resource in registry.resources() if resource.expand for table in resource.tables}
    return {column.source for table in tables for column in table.columns if "." in column.source}


def whole(tables):
    """Return how the paths below each object or array begin that one column keeps whole, as JSON."""
    columns = (column for table in tables for column in table.columns if column.convert is JSON)
    return {column.source + end for column in columns for end in (".", "[]", "{}")}


def sent_by(model, resource):
    """Every leaf of the answers of a resource; scalar items as objects, as they are read."""
    page = resource.call.page
    named = {f"{page.items}[]": f"{page.items}[].{page.item_name}"} if page and page.item_name else {}
    return {named.get(path, path) for path in leaves(model, resource.call.operation)}


def sent(model):
    """Every leaf of the answers that tables are made from."""
    return set().union(*(sent_by(model, resource) for resource in READ))


def homeless(model):
    """Leaves of the answers that are neither stored nor declared as left out."""
    found = set()
    for resource in READ:
        known = sources(resource.tables)
        known |= {path + "[]" for path in known} | set(resource.dropped)  # a text array may be one column, as JSON
        begins = tuple(whole(resource.tables))
        found |= {path for path in sent_by(model, resource) - known if not path.startswith(begins)}
    return found - set(NEVER_STORED) - LEFT_TO_EXTRA_JSON - set(LEFT_OUT)


def test_every_leaf_has_a_home(model):
    """Whatever AWS's model says can be sent has a column, a child table, or is declared as left out."""
    assert homeless(model) == set()


@pytest.mark.parametrize(
    ("shape", "member", "path"),
    [
        ("FunctionConfiguration", "NewThing", "Configuration.NewThing"),
        ("GetFunctionResponse", "NewThing", "NewThing"),
        ("Layer", "NewThing", "Configuration.Layers[].NewThing"),
        ("AliasConfiguration", "NewThing", "Aliases[].NewThing"),
        ("AccountLimit", "NewThing", "AccountLimit.NewThing"),
        ("LayerVersionContentOutput", "NewThing", "Content.NewThing"),
        ("GetPolicyResponse", "NewThing", "NewThing"),
        ("EventSourceMappingConfiguration", "NewThing", "EventSourceMappings[].NewThing"),
        ("Cors", "NewThing", "FunctionUrlConfigs[].Cors.NewThing"),
        ("ProvisionedConcurrencyConfigListItem", "NewThing", "ProvisionedConcurrencyConfigs[].NewThing"),
        ("GetFunctionRecursionConfigResponse", "NewThing", "NewThing"),
    ],
)
def test_a_new_leaf_is_noticed(model, shape, member, path):
    """When AWS adds a leaf anywhere, this page's first test fails until somebody decides where it goes."""
    newer = copy.deepcopy(model)
    newer["shapes"][shape]["members"][member] = {"shape": "String"}

    assert homeless(newer) == {path}


def test_every_source_exists(model):
    """No column is read from a path that AWS does not send."""
    known = sent(model)
    known |= {path.removesuffix("[]") for path in known} | NEWER_THAN_BOTOCORE
    begins = whole(registry.tables())
    known |= {begin.rstrip(".[]{}") for begin in begins if any(path.startswith(begin) for path in known)}
    known |= {"Configuration.Layers[]", "Configuration.FileSystemConfigs[]"}  # their position is a column

    assert sources(registry.tables()) - known - within_documents() == set()


def test_nothing_is_declared_twice(model):
    """A path that has a column is not declared as left out, and declarations do not outlive AWS's model."""
    known = sent(model)
    declared = set(NEVER_STORED) | LEFT_TO_EXTRA_JSON | set(LEFT_OUT)

    assert declared & sources(registry.tables()) == set()
    assert declared - known == set()


def test_types_fit_awss(model):
    """A number of AWS's model is a number here, wide enough; a text is a text."""
    widths = {
        "string": {TEXT, TIMESTAMP},
        "integer": {INT32, INT64},
        "long": {INT64},
        "boolean": {BOOL},
        "double": {DOUBLE},
        "timestamp": {TIMESTAMP},
    }

    def shape_of(operation, path):
        shape = ServiceModel(model, "lambda").operation_model(operation).output_shape
        for step in re.findall(r"\w+|\[\d?\]|\{\}", path):
            if shape.type_name == "structure":
                shape = shape.members[step]
            elif shape.type_name in {"list", "map"}:
                shape = shape.member if step == "[]" else shape
        return shape.type_name

    wrong = [
        (table.name, column.name)
        for resource in registry.resources()
        for table in resource.tables
        for column in table.columns
        if column.source
        and column.source not in NEWER_THAN_BOTOCORE | within_documents()
        and (kind := shape_of(resource.call.operation, column.source)) not in {"list", "map", "structure"}
        and column.type not in widths[kind]
    ]

    assert wrong == []


@pytest.mark.parametrize("table", registry.tables(), ids=lambda table: table.name)
def test_a_table_is_sound(table):
    """Names are unique, the four common columns stand first, every column says what it means, every key exists."""
    names = table.names()

    assert names[:4] == ("snapshot_id", "snapshot_at", "account_id", "region")
    assert len(set(names)) == len(names)
    assert [column.name for column in table.columns if not column.meaning.strip()] == []
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []
    assert set(table.key) <= set(names)
    assert 0 <= table.answer_key <= len(table.key)
    assert table.meaning
    assert table.row_group_rows > 0


@pytest.mark.parametrize("table", registry.tables(), ids=lambda table: table.name)
def test_a_name_fits_every_warehouse(table):
    """No name of a table or column is longer than PostgreSQL's 63 bytes."""
    assert [name for name in (table.name, *table.names()) if len(name) > LONGEST_NAME] == []


def test_the_names_of_views_and_schemas_fit_every_warehouse():
    """No view, column of a view, schema, or name with its schema in front, is longer than PostgreSQL's 63 bytes."""
    views = shipped_views()
    names = {
        *(view.name for view in views),
        *(name for view in views for name in view.columns),
        *SCHEMAS.values(),
        TABLES,
    }
    names |= {
        without_schema(schema, table.name) for schema in (*SCHEMAS.values(), TABLES) for table in registry.tables()
    }
    names |= {name for table in native_tables("scd2") for name in (table.name, *table.names)}
    names |= {name for table in native_tables("soft-delete") for name in table.names}

    assert [name for name in names if len(name.encode()) > LONGEST_NAME] == []


@pytest.mark.parametrize("table", registry.tables(), ids=lambda table: table.name)
def test_a_former_name_means_one_column(table):
    """A former name is that of one column, and of none today; so a file of any schema version can be read."""
    former = [name for column in table.columns for name in column.former_names]

    assert len(set(former)) == len(former)
    assert set(former).isdisjoint(table.names())
    assert table.renames() == {old: column.name for column in table.columns for old in column.former_names}


def test_what_is_said_to_be_a_key_is_one():
    """Of each table those columns are of the kind `key` that tell rows of one snapshot apart, and no others."""
    for table in registry.tables():
        keys = [column.name for column in table.columns if table.kind_of(column) == "key"]

        assert sorted(keys) == sorted(table.row_key)
        assert set(table.row_key) <= set(table.names())
        assert len(set(table.row_key)) == len(table.row_key)


def test_table_names_are_unique():
    """Each table has its own name, and ``BY_NAME`` finds it."""
    assert list(BY_NAME) == [table.name for table in registry.tables()]
    assert len(BY_NAME) == len(registry.tables())
    assert all(BY_NAME[table.name] is table for table in registry.tables())


@pytest.mark.parametrize("table", staged_tables(), ids=lambda table: table.name)
def test_staged_rows_lack_the_snapshot_and_carry_the_answer(table):
    """A staged row is a table's row without the snapshot, plus the answer it came from."""
    assert staged_names(table) == (*table.names()[2:], ANSWER)


def test_only_values_of_variables_are_secret():
    """What must not be shared without thought is marked as such, in one place."""
    secret = [
        (table.name, column.name) for table in registry.tables() for column in table.columns if column.kind == "secret"
    ]

    assert secret == [("env_vars", "value")]
