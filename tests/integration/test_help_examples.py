"""The examples of the help pages work."""

import shlex

import pytest
from anyio.from_thread import start_blocking_portal

from lexport.cli._commands import all_commands
from lexport.simulator import Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

NOT_RUN = (
    *(
        " simulate ",
        " init",
        " demo",
        " report ",
        " views ",
        "sarif",
        " shard ",
        " ducklake ",
        " s3://",
    ),  # other tests run these commands
    *(
        " billing",
        " --since ",
        " --run ",
        " yesterday ",
    ),  # these examples need a fleet that has this function, snapshot or run
)


@pytest.fixture
def aws_url():
    """Return the URL of a simulator in a thread of its own, because the commands block this one."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            open_simulator(Fleet(FleetSpec(functions=2, versions=1)), quotas=False)
        ) as aws,
    ):
        yield aws.url


def test_examples_run(forks, aws_url):
    """The examples that do not depend on one fleet exit with 0, one after the other, on the simulator's fleet."""
    examples = [example for command in all_commands().values() for example in command.examples]
    run = [example for example in examples if not any(part in example for part in NOT_RUN)]
    variables = {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_REGION": "eu-west-1",
        "LEXPORT_LIST_RATE": "1e6",
        "LEXPORT_GET_FUNCTION_RATE": "1e6",
    }
    ended = [forks.run(*shlex.split(example.replace("--region all", ""))[1:], **variables) for example in run]

    assert len(run) > 15
    assert [(example, end.code, end.last) for example, end in zip(run, ended, strict=True) if end.code] == []
