"""TLS trust store: AWS_CA_BUNDLE alone if it is set, else the system's CAs, else the CA file of botocore."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

from lexport.errors import SettingsError


def open_trust_store(ca_bundle: str | None) -> ssl.SSLContext:
    """Return Python's TLS context; raises SettingsError for a CA bundle without certificates."""
    try:
        if ca_bundle is not None:
            is_folder = Path(ca_bundle).is_dir()
            return ssl.create_default_context(
                cafile=None if is_folder else ca_bundle, capath=ca_bundle if is_folder else None
            )
    except OSError as error:  # which ssl.SSLError inherits from
        raise SettingsError(
            f"the CA bundle {ca_bundle} cannot be read ({error.strerror or error}); it comes from AWS_CA_BUNDLE or"
            " from ca_bundle in the AWS config file, and must hold certificates in PEM form",
            option="AWS_CA_BUNDLE",
        ) from error
    return _system_store(ssl.get_default_verify_paths())


@cache
def _system_store(_paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """Return the context of this process with the CAs that are found at these paths: reading them takes 25 ms."""
    context = ssl.create_default_context()
    if not _has_certificates(context):
        import botocore

        context.load_verify_locations(cafile=str(Path(botocore.__file__).with_name("cacert.pem")))
    return context


def _has_certificates(context: ssl.SSLContext) -> bool:
    """Return whether there is any CA. The files in OpenSSL's folder count too: they are read only in a handshake."""
    folder = ssl.get_default_verify_paths().capath or "/nonexistent"
    return bool(context.cert_store_stats()["x509_ca"]) or any(Path(folder).glob("*.[0-9]"))
