"""The reference part of ``docs/reference/python.md``, made from signatures, docstrings and fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import lexport

SETTINGS = (lexport.Destination, lexport.PackageSettings, lexport.SnapshotSettings, lexport.Waiver)
WIDTH = 100


def reference() -> str:
    """Return the reference: functions, classes, settings, results and errors, then the classes that these name."""
    public = {name: getattr(lexport, name) for name in lexport.__all__}
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Settings": [], "Results": [], "Errors": []}
    for name, value in public.items():
        kinds[_kind(value)].append(name)
    others: dict[str, Any] = {}
    left = list(public.values())
    while left:
        found = {name: each for value in left for name, each in _named_by(value).items() if name not in public}
        assert all(others.get(name, each) is each for name, each in found.items()), "two types have one name"
        left = [each for name, each in found.items() if name not in others]
        others |= found
    parts = [
        part for kind, names in kinds.items() for part in (f"## {kind}\n", *(_section(n, public[n]) for n in names))
    ]
    parts.append("## Other types\n\nTypes of the fields and parameters above. `lexport` has no names for them.\n")
    return "\n".join([*parts, *(_section(name, others[name]) for name in sorted(others))])


def _kind(value: Any) -> str:
    if not inspect.isclass(value):
        return "Functions"
    if issubclass(value, Exception):
        return "Errors"
    if value in SETTINGS:
        return "Settings"
    return "Results" if dataclasses.is_dataclass(value) else "Classes"


def _section(name: str, value: Any) -> str:
    parts = [f"### {name}\n"]
    if inspect.isfunction(value):
        return "\n".join([*parts, _signature(f"lexport.{name}", value), _text(value)])
    if not inspect.isclass(value):
        return "\n".join([*parts, f"`{value}`\n"])
    if issubclass(value, Exception):
        return "\n".join([*parts, _bases(value), _text(value)])
    kind = _kind(value)
    if kind == "Classes" and "__init__" in vars(value) and not issubclass(value, Enum):
        parts.append(_signature(f"lexport.{name}", value.__init__))
    parts.append(_text(value))
    if issubclass(value, Enum):
        parts.append(f"One of {', '.join(f'`{each.name}`' for each in value)}.\n")
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        parts.append(_fields(value))
    return "\n".join([*parts, *(_member(name, each, member) for each, member in _members(value))])


def _bases(error: type) -> str:
    bases = [base for base in error.__mro__[1:] if base.__name__ in lexport.__all__][:1]
    bases += [base for base in (ValueError,) if issubclass(error, base)]
    names = " and ".join(f"`{base.__name__}`" for base in bases or (Exception,))
    code = getattr(error, "exit_code", None)
    return f"Base: {names}.{'' if code is None else f' Exit code of the command line: {code}.'}\n"


def _text(value: Any) -> str:
    """Return the docstring, and what that of an inherited dataclass adds after its first line."""
    text = inspect.cleandoc(value.__doc__ or "")
    for base in value.__mro__[1:] if inspect.isclass(value) else ():
        if dataclasses.is_dataclass(base):
            text += "\n\n" + inspect.cleandoc(base.__doc__ or "").partition("\n\n")[2]
    return re.sub(r"``(.+?)``", r"`\1`", text) + "\n"


def _signature(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parts, has_star = [], False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not has_star:
            parts.append("*")
            has_star = True
        star = "*" if each.kind is each.VAR_POSITIONAL else ""
        default = "" if each.default is each.empty else f" = {_default(each.default)}"
        parts.append(f"{star}{each.name}: {_type(function, each.annotation)}{default}")
    ends = "" if function.__name__ == "__init__" else f" -> {_type(function, signature.return_annotation)}"
    word = "await " if inspect.iscoroutinefunction(function) else ""
    line = f"{word}{name}({', '.join(parts)}){ends}"
    if len(line) > WIDTH:
        line = f"{word}{name}(\n{''.join(f'    {part},{chr(10)}' for part in parts)}){ends}"
    return f"```py\n{line}\n```\n"


def _default(value: object) -> str:
    if inspect.isfunction(value):
        return value.__name__
    return re.sub(r"\bdatetime\.(?=timedelta)", "", repr(value))


def _fields(value: Any) -> str:
    if not dataclasses.is_dataclass(value):
        rows = [(name, _type(value, kind.__forward_arg__), "") for name, kind in value.__annotations__.items()]
    else:
        rows = [
            (field.name, _type(_owner(value, field.name), str(field.type)), _default_cell(field))
            for field in dataclasses.fields(value)
            if not field.name.startswith("_")
        ]
    has_default = any(default for _, _, default in rows)
    lines = ["| field | type | default |", "|---|---|---|"] if has_default else ["| field | type |", "|---|---|"]
    for name, kind, default in rows:
        escaped = kind.replace("|", r"\|")
        lines.append(f"| `{name}` | `{escaped}` |{f' {default} |' if has_default else ''}")
    return "\n".join(lines) + "\n"


def _default_cell(field: dataclasses.Field[Any]) -> str:
    if inspect.isfunction(field.default) or inspect.isfunction(field.default_factory):
        return "made"
    if field.default is not dataclasses.MISSING:
        return f"`{_default(field.default)}`"
    factory = field.default_factory
    return "" if factory is dataclasses.MISSING else f"`{factory.__name__}()`"


def _members(value: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods and properties. Those of settings are for the run, and methods of other types for lexport."""
    is_public = value.__name__ in lexport.__all__
    if value in SETTINGS or issubclass(value, Exception):
        return
    for name, member in vars(value).items():
        if not name.startswith("_") and (isinstance(member, property) or (is_public and inspect.isfunction(member))):
            yield name, member


def _member(owner: str, name: str, member: Any) -> str:
    if isinstance(member, property):
        kind = _type(member.fget, member.fget.__annotations__["return"])
        return f"#### {owner}.{name}\n\n`{kind}`\n\n{_text(member)}"
    return f"#### {owner}.{name}\n\n{_signature(f'{owner}.{name}', member)}\n{_text(member)}"


# --- the types of annotations: classes of lexport stay names, other names of its modules become what they stand for ---

_WORD = re.compile(r"""(?:"[^"]*"|'[^']*')|\b[A-Z]\w+""")


def _type(owner: Any, text: str) -> str:
    """Return an annotation with aliases replaced."""

    def replaced(found: re.Match[str]) -> str:
        value = _resolve(owner.__module__, found[0])
        return found[0] if value is None or inspect.isclass(value) or isinstance(value, str) else _alias(value)

    return _WORD.sub(replaced, text)


def _alias(value: Any) -> str:
    origin, arguments = typing.get_origin(value), typing.get_args(value)
    if origin is typing.Annotated:
        return _alias(arguments[0])
    if origin is typing.Union and all(typing.get_origin(each) is typing.Literal for each in arguments):
        return str(typing.Literal[tuple(text for each in arguments for text in typing.get_args(each))]).removeprefix(
            "typing."
        )
    if inspect.isclass(value) and origin is None:
        return value.__name__
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])", "", str(value))


def _named_by(value: Any) -> dict[str, Any]:
    """Return the classes of lexport, and recursive types, that a signature, fields or members name."""
    texts: list[tuple[Any, str]] = []
    functions = [value] if inspect.isfunction(value) else []
    if inspect.isclass(value) and not issubclass(value, Enum | Exception):
        if dataclasses.is_dataclass(value):
            texts = [(_owner(value, field.name), str(field.type)) for field in dataclasses.fields(value)]
        elif inspect.isfunction(value.__init__):
            functions.append(value.__init__)
        functions += [each.fget if isinstance(each, property) else each for _, each in _members(value)]
    texts += [(function, text) for function in functions for text in function.__annotations__.values()]
    found: dict[str, Any] = {}
    for owner, text in texts:
        for name in _WORD.findall(text):
            resolved = _resolve(owner.__module__, name)
            if isinstance(resolved, str):
                found[name] = resolved
            found |= {each.__name__: each for each in _classes(resolved) if each.__module__.startswith("lexport")}
    return found


def _classes(value: Any) -> Iterator[type]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _classes(each)
    elif typing.get_origin(value) is not None:
        yield from _classes(typing.get_args(value))
    elif inspect.isclass(value):
        yield value


def _owner(value: type, field: str) -> type:
    return next(each for each in reversed(value.__mro__) if field in inspect.get_annotations(each))


@cache
def _imports(module: str) -> dict[str, str]:
    tree = ast.parse(Path(import_module(module).__file__ or "").read_bytes())
    statements = [statement for statement in ast.walk(tree) if isinstance(statement, ast.ImportFrom)]
    return {alias.asname or alias.name: str(each.module) for each in statements for alias in each.names}


def _resolve(module: str, name: str) -> Any:
    """Return what a name means in a module, and None for what is not lexport's."""
    if source := _imports(module).get(name):
        return _resolve(source, name) if source.startswith("lexport") else None
    found = vars(import_module(module)).get(name)
    return None if isinstance(found, typing.TypeVar) else found
