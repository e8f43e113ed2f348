"""The dbt project that ``lexport schema --dbt`` writes, read without dbt; ``make dbt`` runs it."""

import re
from functools import cache
from pathlib import Path

import anyio
import jinja2
import pytest
import sqlglot
import yaml

import lexport
from lexport.errors import SettingsError
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dbt.models import StagingModel, staging_sql
from lexport.query.warehouse.dbt.profiles import DBT_DIALECTS, profiles
from lexport.query.warehouse.dbt.project import dbt_project, key_test, project, write_project
from lexport.query.warehouse.dbt.yaml_text import yaml_text
from lexport.tables import registry
from lexport.tables.fed import fed_table
from lexport.tables.functions import TAGS

DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "dbt.md"
GOLDEN = Path(__file__).with_name("golden")
LONGEST = 63  # what PostgreSQL takes
SOURCES = {"duckdb": ("files", "feed"), "postgres": ("feed",)}
EACH = pytest.mark.parametrize("dialect", SOURCES)


def load(text):
    return yaml.load(text, yaml.CSafeLoader)  # as safe_load, in a tenth of the time


@cache
def texts(name):
    """The files of the project for one dialect."""
    return project(DBT_DIALECTS[name], "/srv/fleet" if name == "duckdb" else None)


@cache
def properties(name):
    """Models, sources and exposures of all YAML files by name, a source's tables by both names."""
    found = {"models": {}, "sources": {}, "exposures": {}}
    for path, text in texts(name).items():
        if path.startswith("models/") and path.endswith(".yml"):
            for kind, items in load(text).items():
                for item in items if kind in found else ():
                    assert item["name"] not in found[kind]
                    found[kind][item["name"]] = item
    tables = {(item["name"], table["name"]): table for item in found["sources"].values() for table in item["tables"]}
    return found | {"tables": tables}


def models(name):
    """The SQL of every model by its name."""
    return {Path(path).stem: text for path, text in texts(name).items() if re.match(r"models/.*\.sql", path)}


@cache
def compiled(text):
    return jinja2.Template(text, undefined=jinja2.StrictUndefined)


def render(text, source):
    """Render a model as dbt does; return its SQL, what it refers to and whether it is enabled."""
    used = {"refs": set(), "sources": set(), "enabled": True}

    def ref(name):
        used["refs"].add(name)
        return f'"{name}"'

    def source_of(schema, table):
        used["sources"].add((schema, table))
        return f'"{schema}"."{table}"'

    def config(enabled):
        used["enabled"] = enabled
        return ""

    variables = {"lexport_source": source, "lexport_location": "/srv/fleet"}
    sql = compiled(text).render(ref=ref, source=source_of, config=config, var=variables.__getitem__)
    return sql, used


@EACH
def test_every_reference_leads_to_a_model_or_a_source(dialect):
    """With each kind of source, enabled models read enabled models and declared sources, without a circle."""
    declared = properties(dialect)
    kinds = SOURCES[dialect]
    for kind in kinds:
        rendered = {name: render(text, kind)[1] for name, text in models(dialect).items()}
        enabled = {name: used for name, used in rendered.items() if used["enabled"]}
        reached = set()
        while more := {name for name in enabled.keys() - reached if enabled[name]["refs"] <= reached}:
            reached |= more
        sources = {pair for used in enabled.values() for pair in used["sources"]}

        assert reached == enabled.keys()
        assert sources <= declared["tables"].keys()
        assert {schema for schema, _ in sources} == (
            {"lexport_files"} if kind == "files" else {"lexport", "lexport_history", "lexport_snapshot"}
        )
        for exposure in declared["exposures"].values():
            assert {re.fullmatch(r"ref\('(\w+)'\)", text)[1] for text in exposure["depends_on"]} <= enabled.keys()
    assert load(texts(dialect)["dbt_project.yml"])["vars"]["lexport_source"] == kinds[0]


@EACH
def test_sql_parses_in_its_dialect_with_the_described_columns(dialect):
    """Each model is a SELECT in the dialect; its columns are those that the properties describe, in order."""
    described = properties(dialect)["models"]
    assert described.keys() == models(dialect).keys()
    assert max(map(len, described)) <= LONGEST
    for name, text in models(dialect).items():
        for sql, used in {render(text, kind)[0]: render(text, kind)[1] for kind in SOURCES[dialect]}.items():
            if used["enabled"]:
                tree = sqlglot.parse_one(sql, read=dialect)
                columns = [column["name"] for column in described[name].get("columns", ())]
                is_of_files = "snapshot_date" in tree.named_selects
                shown = [column for column in columns if is_of_files or column != "snapshot_date"]
                assert not columns or tree.named_selects == shown, name


@EACH
def test_everything_is_described(dialect):
    """Sources, models and all their columns have descriptions, columns of sources have types."""
    declared = properties(dialect)
    every = [*declared["models"].values(), *declared["tables"].values()]
    columns = [column for item in every for column in item.get("columns", ())]

    assert [item["name"] for item in [*every, *columns] if not item.get("description")] == []
    assert all(column["data_type"] for table in declared["tables"].values() for column in table["columns"])
    assert {f"lexport__{view.name}" for view in shipped_views()} <= declared["models"].keys()
    for table in registry.tables():
        assert [column["name"] for column in declared["models"][f"stg_lexport__{table.name}"]["columns"]] == list(
            table.names()
        )
        has_history = f"stg_lexport__{table.name}_history" in declared["models"]
        assert has_history == (dialect == "duckdb" or fed_table(table).kind == "run")


def test_declared_values_and_keys_are_tested():
    """Columns with declared values have accepted_values with just these, and the meaning of the column names them."""
    declared = properties("duckdb")
    for table in registry.tables():
        model = declared["models"][f"stg_lexport__{table.name}"]
        (key,) = model["data_tests"]
        ((_, test),) = key.items()
        columns = test["arguments"].get("columns") or [test["arguments"]["column_name"]]

        assert columns == list(table.row_key)
        for column, shown in zip(table.columns, model["columns"], strict=True):
            tests = [test for test in shown.get("data_tests", ()) if test != "not_null"]
            expected = [{"accepted_values": {"arguments": {"values": list(column.values)}}}] if column.values else []
            assert tests == expected
            assert all(f"`{value}`" in column.meaning for value in column.values), column

    scopes = {column["name"]: column for column in declared["models"]["stg_lexport__scopes"]["columns"]}
    assert scopes["account_id"]["data_tests"] == ["not_null"]


def test_sources_say_how_fresh_they_are():
    """Tables that each snapshot fills warn after 26 hours without a new one, by ``snapshot_at``."""
    declared = properties("duckdb")
    fresh = {pair for pair, table in declared["tables"].items() if "freshness" in table.get("config", {})}

    assert {source["config"]["loaded_at_field"] for source in declared["sources"].values()} == {"snapshot_at"}
    assert fresh == {
        (schema, name) for schema in ("lexport_files", "lexport") for name in ("functions", "scopes", "snapshots")
    }
    for pair in fresh:
        freshness = declared["tables"][pair]["config"]["freshness"]
        assert freshness == {"warn_after": {"count": 26, "period": "hour"}}


@pytest.mark.parametrize("name", DBT_DIALECTS)
def test_golden_in_each_dialect(name, compare_golden):
    """What differs between warehouses is as reviewed: the project file, the profile, a test and a staging model."""
    dialect = DBT_DIALECTS[name]
    model = StagingModel(table=TAGS, space="main")
    shown = (
        yaml_text(dbt_project(dialect, "/srv/fleet")),
        yaml_text(profiles(dialect, location="/srv/fleet")),
        key_test(dialect),
        staging_sql(model, dialect),
    )

    text = "\n".join(shown).replace(f'"{lexport.__version__}"', '"VERSION"')
    compare_golden(GOLDEN / "dbt" / f"{name}.txt", text)


def test_no_secret_is_in_a_profile():
    """Profiles take accounts, users, passwords and tokens from the environment alone."""
    personal = ("account", "user", "password", "token", "private_key_path", "host", "project")
    for name, dialect in DBT_DIALECTS.items():
        output = load(yaml_text(profiles(dialect, location="/srv/fleet")))["lexport"]["outputs"]["dev"]
        assert output["type"] == name
        assert all("env_var(" in output[field] for field in personal if field in output)


@pytest.mark.parametrize(
    "value",
    [
        {"a": "x: y", "b": ["yes", "no", "1", 1, None, True, "null", "", " a", "a #b"], "c": {}, "d": []},
        [
            {"name": "a\nb", "list": ["{{ x }}", "- y", "é\u0085\u2028"]},
            {"+key": {"deep": ["long " * 9, "text " * 20]}},
        ],
    ],
)
def test_yaml_reads_back(value):
    """What is written as YAML is read back as it was."""
    assert load(yaml_text(value)) == value


def run(lexport_path, *arguments, cwd):
    done = anyio.run(lambda: anyio.run_process([lexport_path, *arguments], check=False, cwd=cwd))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_documentation_is_true(lexport_path, tmp_path):
    """The commands of docs/guides/dbt.md write whole projects, into new and empty folders."""
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    shown = [part.split("\n", 1) for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    ours = {command: output for command, output in shown if command.startswith("lexport ")}
    (tmp_path / "warehouse_dbt").mkdir()

    assert len(ours) == 2
    for command, output in ours.items():
        assert run(lexport_path, *command.split()[1:], cwd=tmp_path) == (0, "", output)
    for folder, dialect in (("fleet_dbt", "duckdb"), ("warehouse_dbt", "postgres")):
        root = tmp_path / folder
        written = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
        expected = {path: text.replace("/srv/fleet", str(tmp_path / "fleet")) for path, text in texts(dialect).items()}
        assert written == expected
    assert names_in(tmp_path) == ["fleet_dbt", "warehouse_dbt"]


def test_a_folder_with_anything_in_it_is_refused(tmp_path, monkeypatch):
    """What is in a folder stays as it was, and nothing else is left behind. Nobody's own folder is replaced."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "used")

    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    for folder in ("used", "used/mine", "link", "no/where", "empty/../empty"):
        with pytest.raises(SettingsError, match=f"--dbt {tmp_path / folder}"):
            write_project(tmp_path / folder, DBT_DIALECTS["postgres"])
    assert [names_in(tmp_path), names_in(tmp_path / "used")] == [["empty", "link", "used"], ["mine"]]


@pytest.mark.parametrize("location", ["a{b", "it's", "a*", "", "a\nb"])
def test_a_location_that_would_mean_something_else_is_refused(location):
    """dbt reads the location as a template, DuckDB as a pattern in SQL."""
    with pytest.raises(SettingsError, match=r"--location .*: expected DEST, without quotes"):
        project(DBT_DIALECTS["duckdb"], location)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dbt", "x", "--ddl", "athena"], "--ddl and --dbt write different things"),
        (["--dbt", "x", "--output", "csv"], "leave --table and --output out"),
        (["--dialect", "duckdb"], "--dialect needs --dbt FOLDER"),
        (
            ["--dbt", "x", "--dialect", "athena", "--location", "s3://b/p"],
            "--dbt takes a --location for duckdb alone",
        ),
    ],
)
def test_wrong_use(lexport_path, tmp_path, arguments, reason):
    """Options that contradict each other are refused, and nothing is written."""
    code, out, err = run(lexport_path, "schema", *arguments, cwd=tmp_path)

    assert (code, out) == (2, "")
    assert reason in err
    assert names_in(tmp_path) == []
