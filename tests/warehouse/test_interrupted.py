"""Loads into PostgreSQL that are interrupted, killed or cut off, that collide or are refused: nothing is changed."""

import signal
import threading

import anyio
import psycopg
import pytest

from lexport.errors import CredentialsError, PublishError, RunError, SettingsError
from lexport.query.warehouse.apply import apply_feed
from lexport.query.warehouse.load import LOCK
from lexport.query.warehouse.native_views import NATIVE_SCHEMAS

pytestmark = pytest.mark.asyncio

_WAITS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lexport' AND wait_event_type = 'Lock'"


async def _waiting(connection, count=1):
    """Wait until so many loads wait for a lock; return the ids of their server processes."""
    with anyio.fail_after(60):
        while len(found := connection.execute(_WAITS).fetchall()) < count:  # noqa: ASYNC110 - the server tells nobody
            await anyio.sleep(0.02)
    return [pid for (pid,) in found]


@pytest.mark.parametrize("end", ["interrupt", "kill", "cut"])
async def test_a_load_that_ends_early(
    end, stages, postgres, sql_shows, apply, differing, show, start_lexport, environment, tmp_path, monkeypatch
):
    """A load that ends when all rows are in place but the cursor changes nothing, says so, and can be repeated.

    The private folder of a load that was killed, whose rows may be secrets, goes with the next load.
    """
    private = tmp_path / "private"
    private.mkdir()
    environment["TMPDIR"] = str(private)
    monkeypatch.setattr("tempfile.tempdir", str(private))
    warehouse = show.Postgres(postgres)
    apply(stages[0], warehouse)
    with psycopg.connect(postgres, autocommit=True) as other, psycopg.connect(postgres) as holder:
        holder.execute("LOCK TABLE lexport_tables.lexport_loads IN EXCLUSIVE MODE")
        async with start_lexport("feed", stages[1], "--apply", "postgres", "--to", postgres) as process:
            (pid,) = await _waiting(other)
            if end == "cut":
                other.execute(f"SELECT pg_terminate_backend({pid})")
            else:
                process.send_signal(signal.SIGINT if end == "interrupt" else signal.SIGKILL)
            with anyio.fail_after(60):
                await process.wait()
            said = b"".join([chunk async for chunk in process.stderr]).decode() if process.stderr else ""
    code = {"interrupt": 130, "kill": -9, "cut": 1}[end]

    assert process.returncode == code, said
    assert "Traceback" not in said
    if end == "cut":
        assert "nothing was changed" in said
    left = [path.stat().st_mode & 0o777 for path in private.iterdir()]
    assert left == ([0o700] if end == "kill" else [])
    assert differing(warehouse, sql_shows(stages[0])) == []
    apply(stages[1], warehouse)
    assert list(private.iterdir()) == []
    assert differing(warehouse, sql_shows(stages[1])) == []


async def test_two_loads_at_once(stages, postgres, sql_shows, differing, show):
    """Of two loads into an empty database at once, one wins and the other ends with exit code 6."""
    ended = []

    def load():
        try:
            ended.append(apply_feed(stages[0], "postgres", postgres, since=None, write_mode="hard-delete"))
        except PublishError as error:
            ended.append(error)

    threads = [threading.Thread(target=load) for _ in range(2)]
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute(f"SELECT pg_advisory_lock({LOCK})")
        for thread in threads:
            thread.start()
        await _waiting(other, 2)
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)

    assert sorted(isinstance(each, PublishError) for each in ended) == [False, True]
    assert differing(show.Postgres(postgres), sql_shows(stages[0])) == []


SECRET = "hunter2-is-secret"
REFUSED = {
    "a password": (f"postgresql://postgres:{SECRET}@127.0.0.1/x", SettingsError, "PGPASSWORD"),
    "a password in the query": (f"postgresql://127.0.0.1/x?password={SECRET}", SettingsError, "PGPASSFILE"),
    "a password in words": (f"host=127.0.0.1 password={SECRET}", SettingsError, "service file"),
    "a password in no URL": (f"postgresql://u:{SECRET}@[half/x", SettingsError, "PGPASSWORD"),
    "no URL": ("fleet", SettingsError, "postgresql://USER@HOST"),
    "no server": ("postgresql://127.0.0.1:9/x", RunError, "connection"),
    "no such service": ("service=nosuch", SettingsError, 'definition of service "nosuch" not found'),
    "no number": ("postgresql://127.0.0.1/x?port=abc", SettingsError, "port"),
    "no such mode": ("postgresql://127.0.0.1/x?sslmode=often", SettingsError, "sslmode"),
    "no seconds": ("postgresql://127.0.0.1/x?connect_timeout=abc", SettingsError, "connect_timeout"),
    "an unknown option": ("postgresql://127.0.0.1/x?colour=red", SettingsError, "no PostgreSQL URL"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_urls_that_are_refused(case, stages):
    """Wrong URLs are told in a line that never shows a password."""
    url, kind, words = REFUSED[case]

    with pytest.raises(kind) as failed:
        apply_feed(stages[0], "postgres", url, since=None, write_mode="hard-delete")

    assert type(failed.value) is kind
    assert words in str(failed.value)
    assert SECRET not in str(failed.value)
    assert "\n" not in str(failed.value)


async def test_what_the_server_refuses(stages, postgres_server, postgres, monkeypatch, run_lexport):
    """A wrong password and a missing right end with exit code 5, an unknown database with 2, and change nothing."""
    url = postgres_server.url(postgres.partition("?")[0].rpartition("/")[2], tcp=True)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{postgres_server.password}'")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(CredentialsError, match="password authentication failed"):
        apply_feed(stages[0], "postgres", url, since=None, write_mode="hard-delete")
    monkeypatch.setenv("PGPASSWORD", postgres_server.password)
    with pytest.raises(CredentialsError, match=r"permission denied .* GRANT CREATE ON DATABASE"):
        apply_feed(stages[0], "postgres", url.replace("postgres@", "reader@"), since=None, write_mode="hard-delete")
    with pytest.raises(CredentialsError, match=r'role "nobody" does not exist$'):
        apply_feed(stages[0], "postgres", f"{postgres}&user=nobody", since=None, write_mode="hard-delete")
    with psycopg.connect(postgres, autocommit=True) as connection:
        for schema in NATIVE_SCHEMAS:
            connection.execute(f"CREATE SCHEMA {schema} AUTHORIZATION reader")
    apply_feed(stages[0], "postgres", url.replace("postgres@", "reader@"), since=None, write_mode="hard-delete")
    with pytest.raises(SettingsError, match='database "none" does not exist'):
        apply_feed(stages[0], "postgres", postgres_server.url("none", tcp=True), since=None, write_mode="hard-delete")
    refused = await run_lexport("feed", stages[0], "--apply", "postgres", "--to", url.replace("@", f":{SECRET}@"))
    done = await run_lexport("feed", stages[0], "--apply", "postgres", "--to", url, PGPASSWORD=postgres_server.password)

    assert (refused.code, SECRET in refused.err) == (2, False)
    assert done.code == 0, done.err
