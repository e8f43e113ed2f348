"""Reads a template: its functions become plain values for one example of its parameters."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

_DEPLOY = Path(__file__).parents[2] / "deploy"
TEMPLATE = _DEPLOY / "aws-step-functions" / "template.yaml"
ECS = _DEPLOY / "aws-ecs" / "template.yaml"
EXAMPLE = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "lexport",
    "ImageUri": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/lexport:1",
    "ImageRepositoryArn": "arn:aws:ecr:eu-west-1:111122223333:repository/lexport",
    "Bucket": "amzn-s3-demo-bucket",
    "Subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "SecurityGroups": ["sg-0123456789abcdef0"],
}
_NOTHING = object()


class _Function(NamedTuple):
    name: str
    argument: object


class _Loader(yaml.SafeLoader):
    pass


def _function(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return _Function(suffix, value)


_Loader.add_multi_constructor("!", _function)


@cache
def load_template(path=TEMPLATE):
    """Return a template, with its short functions as ``_Function``; not to be changed."""
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)


def lint_text(text):
    """Return what cfn-lint finds in a template."""
    from cfnlint.api import lint  # here, because it takes half a second, which each worker of pytest would wait for
    from cfnlint.config import ManualArgs

    return [str(match) for match in lint(text, config=ManualArgs(regions=["eu-west-1", "us-east-1"]))]


def listed(value):
    """Return a value of a policy, which may stand alone, as a list."""
    return [value] if isinstance(value, str) else list(value)


def grants(statements):
    """Return each action with its resource and its condition."""
    return {
        (action, resource, json.dumps(statement.get("Condition"), sort_keys=True))
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


class Stack:
    """A template with parameters; ``resources`` are those whose condition holds, without functions."""

    def __init__(self, template=TEMPLATE, **parameters):
        self.template = load_template(template)
        defaults = {
            name: str(each["Default"]) for name, each in self.template["Parameters"].items() if "Default" in each
        }
        self.parameters = defaults | EXAMPLE | parameters
        self.resources = {
            name: self._plain(resource)
            for name, resource in self.template["Resources"].items()
            if self._holds(resource.get("Condition"))
        }

    def definition(self):
        """Return the definition of the state machine as Step Functions gets it."""
        properties = self.resources["StateMachine"]["Properties"]
        substitutions = {name: str(value) for name, value in properties["DefinitionSubstitutions"].items()}
        text = json.dumps(properties["Definition"])
        return json.loads(re.sub(r"\$\{(\w+)\}", lambda match: json.dumps(substitutions[match[1]])[1:-1], text))

    def statements(self, role):
        """Return all statements of the policies of a role."""
        properties = self.resources[role]["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        shared = [self.resources[arn.removeprefix("arn:of:")] for arn in properties.get("ManagedPolicyArns", ())]
        documents += [policy["Properties"]["PolicyDocument"] for policy in shared]
        return [statement for document in documents for statement in document["Statement"]]

    def _holds(self, name):
        if name is None:
            return True
        return self._condition(self.template["Conditions"][name])

    def _condition(self, tagged):
        function, value = tagged
        if function == "Not":
            return not self._condition(value[0])
        assert function == "Equals", function
        return self._plain(value[0]) == self._plain(value[1])

    def _plain(self, value):
        if isinstance(value, _Function):
            return self._call(*value)
        if isinstance(value, dict):
            plain = {key: self._plain(each) for key, each in value.items()}
            return {key: each for key, each in plain.items() if each is not _NOTHING}
        if isinstance(value, list):
            return [each for each in map(self._plain, value) if each is not _NOTHING]
        return value

    def _call(self, function, value):
        if function == "Ref":
            return self._reference(value)
        if function == "GetAtt":
            return f"arn:of:{value.partition('.')[0]}"
        if function == "Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda match: self._reference(match[1]), value)
        if function == "If":
            name, then, otherwise = value
            return self._plain(then if self._holds(name) else otherwise)
        if function == "Join":
            return value[0].join(self._plain(value[1]))
        raise AssertionError(function)

    def _reference(self, name):
        if name == "AWS::NoValue":
            return _NOTHING
        return self.parameters.get(name, f"arn:of:{name}")


@cache
def default_stack():
    """Return the stack with the defaults of its parameters, where there are any; not to be changed."""
    return Stack()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(default_stack().definition(), indent=1), encoding="utf-8")
