"""Open an Iceberg catalog by its name in pyiceberg's configuration or by a URL, and translate its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import sqlalchemy.engine
import sqlalchemy.exc
from pyiceberg import exceptions as iceberg
from pyiceberg.catalog import Catalog, CatalogType, infer_catalog_type, load_catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.utils.config import Config, merge_config

from lexport.aws.errors import one_line
from lexport.aws.redact import clean_foreign_line, cut_urls, may_hold_password
from lexport.errors import CredentialsError, LexportError, RunError, SettingsError
from lexport.query.passwords import refuse_password
from lexport.query.publish.iceberg_files import NOT_IN_URLS

NAME_OF_URLS = "lexport"
"""The name in pyiceberg's configuration of a catalog that is given as a URL."""
OPTION = "--catalog"

_CONNECT_S = 5.0
_SQLITE = "sqlite:///"
_DENIED = re.compile(
    r"ACCESS_DENIED|HTTP (?:response code )?40[13]|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch"
)
_CONFIGURE = (
    "name one of .pyiceberg.yaml or of variables such as PYICEBERG_CATALOG__NAME__URI, or give a URL like"
    " sqlite:///catalog.db or https://host"
)


class _RestCatalog(RestCatalog):
    """A REST catalog whose requests end; those of pyiceberg wait for an answer for ever."""

    def __init__(self, name: str, timeout_s: float, **properties: str) -> None:
        self._timeout_s = timeout_s
        super().__init__(name, **properties)

    def _config_headers(self, session: requests.Session) -> None:
        """Prepare a session, which is new here: no request was sent with it."""
        timeout = (min(_CONNECT_S, self._timeout_s), self._timeout_s)
        session.request = partial(session.request, timeout=timeout)  # type: ignore[method-assign]
        super()._config_headers(session)


def open_iceberg(catalog: str, defaults: Mapping[str, str], *, timeout_s: float) -> Catalog:
    """Open a catalog. ``defaults`` are properties that apply where its configuration has no ``s3.`` property.

    A request to a REST catalog ends after ``timeout_s``. Raises SettingsError, CredentialsError, RunError.
    """
    is_url = "://" in catalog
    name = NAME_OF_URLS if is_url else catalog
    properties: dict[str, str] = {}
    with catalog_errors(catalog, "it was opened"):
        configured = Config().get_catalog_config(name) or {}
        if is_url:
            properties |= _properties_of(catalog, has_warehouse="warehouse" in configured)
        elif not configured:
            known = ", ".join(sorted(Config().get_known_catalogs())) or "none"
            raise SettingsError(
                f"{OPTION} {catalog}: pyiceberg knows no such catalog (known: {known}); {_CONFIGURE}", option=OPTION
            )
        if not any(key.startswith("s3.") for key in configured):
            properties |= defaults
        try:
            merged: Any = merge_config(configured, {**properties})
            kind = merged.get("type") or infer_catalog_type(name, merged)
            if kind in (CatalogType.REST, CatalogType.REST.value):
                return _RestCatalog(name, timeout_s, **merged)
            return load_catalog(name, **properties)
        except ImportError as error:
            raise SettingsError(
                f"{OPTION} {catalog} needs more of pyiceberg ({_text(error)}); for Glue and for signed requests"
                " run: pip install boto3",
                option=OPTION,
            ) from error
        except (ValueError, iceberg.NoSuchPropertyException, iceberg.NotInstalledError) as error:
            # pyiceberg and what is below it quote a part of a URL that they cannot read.
            is_secret = any(may_hold_password(str(value)) for value in configured.values())
            said = type(error).__name__ if is_secret else _text(error)
            raise SettingsError(f"{OPTION} {catalog}: {said}; {_CONFIGURE}", option=OPTION) from error


def is_absent(catalog: str) -> bool:
    """Return whether a catalog is a file that does not exist yet."""
    return catalog.startswith(_SQLITE) and not _file_of(catalog).exists()


def _file_of(catalog: str) -> Path:
    """Return the absolute path that SQLAlchemy reads in the URL of a SQLite file, where %20 is a space."""
    return Path(sqlalchemy.engine.make_url(catalog).database or "").absolute()


def check_catalog(catalog: str) -> None:
    """Raise SettingsError for a URL that has credentials or settings, or that names no place for a file."""
    refuse_password(
        catalog,
        option=OPTION,
        instead="credentials come from .pyiceberg.yaml or variables such as"
        f" PYICEBERG_CATALOG__{NAME_OF_URLS.upper()}__CREDENTIAL",
    )
    if "://" not in catalog:
        return
    try:
        url = urlsplit(catalog)
    except ValueError as error:
        raise SettingsError(f"{OPTION}: this is no URL: {error}", option=OPTION) from None
    if "@" in url.netloc or url.query or url.fragment:
        part = "a user name" if "@" in url.netloc else "`?` or `#`"
        raise SettingsError(
            f"{OPTION} {url.scheme}://…: {part} is in it; settings come from .pyiceberg.yaml or variables such as"
            f" PYICEBERG_CATALOG__{NAME_OF_URLS.upper()}__CREDENTIAL",
            option=OPTION,
        )
    if url.scheme == "sqlite":
        if not catalog.startswith(_SQLITE) or catalog == _SQLITE:
            raise SettingsError(f"{OPTION} {catalog}: write it like {_SQLITE}catalog.db", option=OPTION)
        file = _file_of(catalog)
        if file.is_dir() or not file.parent.is_dir():
            what = f"{file} is a folder" if file.is_dir() else f"there is no folder {file.parent}"
            raise SettingsError(f"{OPTION} {catalog}: {what}; write it like {_SQLITE}catalog.db", option=OPTION)


def _properties_of(catalog: str, *, has_warehouse: bool) -> dict[str, str]:
    """Return what a URL says; new tables of a SQLite file lie beside it where nothing else is configured."""
    if not catalog.startswith(_SQLITE):
        return {"uri": catalog}
    path = _file_of(catalog)
    uri = {"uri": sqlalchemy.engine.URL.create("sqlite", database=str(path)).render_as_string()}
    if has_warehouse:
        return uri
    if found := NOT_IN_URLS.search(str(path.parent)):
        raise SettingsError(
            f"{OPTION} {catalog}: readers of Iceberg take {found[0]} in {path.parent} for a part of URLs", option=OPTION
        )
    return uri | {"warehouse": f"file://{path.parent}"}


def _text(error: Exception) -> str:
    """Return the line of an error of a library, which may quote the configuration."""
    return clean_foreign_line(cut_urls(one_line(str(error))))


def may_pass(error: Exception) -> bool:
    """Return whether a failed step is worth another attempt: another writer was faster, or the answer was lost."""
    return isinstance(
        error,
        (
            iceberg.CommitFailedException,
            iceberg.CommitStateUnknownException,
            iceberg.ServerError,
            iceberg.ServiceUnavailableError,
            iceberg.TooManyRequestsError,
            iceberg.TableAlreadyExistsError,
            iceberg.NamespaceAlreadyExistsError,
            requests.RequestException,
            sqlalchemy.exc.OperationalError,
            ConnectionError,
            TimeoutError,
        ),
    )


def is_conflict(error: Exception) -> bool:
    """Return whether another writer was faster."""
    return isinstance(error, iceberg.CommitFailedException)


@contextmanager
def catalog_errors(catalog: str, when: str) -> Iterator[None]:
    """Raise one line for any error of pyiceberg and of what is below it."""
    try:
        yield
    except LexportError:
        raise
    except Exception as error:
        text = _text(error) or type(error).__name__
        refused = (
            iceberg.UnauthorizedError,
            iceberg.ForbiddenError,
            iceberg.OAuthError,
            iceberg.AuthorizationExpiredError,
        )
        if isinstance(error, refused) or _DENIED.search(text):
            raise CredentialsError(f"the catalog {catalog} refused the access when {when}: {text}") from error
        if isinstance(error, FileNotFoundError):
            raise RunError(
                f"the catalog {catalog} names metadata that is gone ({text}); restore it, or drop the table from the"
                " catalog, or publish into a new catalog or another --namespace"
            ) from error
        raise RunError(f"the catalog {catalog} failed when {when}: {type(error).__name__}: {text}") from error
