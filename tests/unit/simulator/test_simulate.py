"""`lexport simulate` as a process: its output, and its end."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

from lexport.cli.simulate import command
from lexport.errors import SettingsError

COMMAND = (sys.executable, "-m", "lexport", "simulate", "--functions", "2")


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_serves_until_a_signal(sent, code):
    """It prints its address and the exports at once, serves, and ends with the signal's own exit code."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline().rstrip("\n") for _ in range(5)]
        url = lines[0].removeprefix("URL ")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url)
        process.send_signal(sent)
        rest, errors = process.communicate(timeout=10)

    assert lines == [
        f"URL {url}",
        "export AWS_ACCESS_KEY_ID=testing",
        "export AWS_SECRET_ACCESS_KEY=testing",
        f"export AWS_ENDPOINT_URL={url}",
        f"lexport snapshot DEST --endpoint-url {url} --region us-east-1",
    ]
    assert (process.returncode, rest, errors) == (code, "", "")


def test_port_in_use():
    """A port that is taken is a SettingsError that names `--port`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(command, ["--port", str(port)])

    assert isinstance(result.exception, SettingsError)
    assert result.exception.option == "--port"
    assert str(port) in str(result.exception)


@pytest.mark.parametrize("given", [("--drift", "1.5"), ("--drift", "nan"), ("--night", "-1"), ("--night", "soon")])
def test_a_night_that_cannot_be(given):
    """A share beyond 1 and a night before the first are wrong use, and the error names the option."""
    result = CliRunner().invoke(command, given)

    assert result.exit_code == 2
    assert given[0] in result.output


def test_a_neighbour_who_stops_before_beginning():
    """Seconds in the wrong order are wrong use, and the error names the option."""
    result = CliRunner().invoke(command, ["--neighbour", "0.4", "120", "60"])

    assert result.exit_code == 2
    assert "--neighbour" in result.output
