"""Whom TLS trusts: AWS_CA_BUNDLE alone where it is set, else the system's CAs, else botocore's file of them."""

from __future__ import annotations

import ssl
from pathlib import Path

from lexport.errors import SettingsError


def trust(ca_bundle: str | None) -> ssl.SSLContext:
    """Make the TLS context of Python; raises SettingsError for a bundle that holds no certificates."""
    try:
        if ca_bundle is not None:
            is_folder = Path(ca_bundle).is_dir()
            return ssl.create_default_context(
                cafile=None if is_folder else ca_bundle, capath=ca_bundle if is_folder else None
            )
    except OSError as error:  # ssl.SSLError is one too
        raise SettingsError(
            f"the CA bundle {ca_bundle} cannot be read ({error.strerror or error}); it comes from AWS_CA_BUNDLE or"
            " from ca_bundle in the AWS config file, and must hold certificates in PEM form",
            option="AWS_CA_BUNDLE",
        ) from error
    context = ssl.create_default_context()
    if not _has_certificates(context):
        context.load_verify_locations(cafile=_botocores_bundle())
    return context


def _has_certificates(context: ssl.SSLContext) -> bool:
    """Tell whether any CA is there; single files in OpenSSL's folder are read in a handshake, so not yet counted."""
    folder = ssl.get_default_verify_paths().capath or "/nonexistent"
    return bool(context.cert_store_stats()["x509_ca"]) or any(Path(folder).glob("*.[0-9]"))


def _botocores_bundle() -> str:
    import botocore

    return str(Path(botocore.__file__).with_name("cacert.pem"))
