"""Deployment packages, their files and their dependencies, from the packages themselves."""

from __future__ import annotations

from lexport.tables.table import COMMON, INT32, INT64, TEXT, TIMESTAMP, Column, Table, key

PACKAGES = Table(
    "packages",
    "One row per distinct package of functions, and stored one of layers: where it is; account and region are NULL.",
    (
        *COMMON,
        key("code_sha256", "SHA-256 as AWS sends it: base64 for Zip, hex for Image."),
        Column("sha256_hex", TEXT, "", "The same in hex: the name of the stored file."),
        Column("size_bytes", INT64, "", "Size of the package; 0 for images.", "bytes"),
        Column("path", TEXT, "", "Where it is stored, relative to the destination; NULL where it is not."),
        Column(
            "status",
            TEXT,
            "",
            "`stored`, `present`, `image`, `reference`, `denied`, `failed` or `skipped`.",
            values=("stored", "present", "image", "reference", "denied", "failed", "skipped"),
        ),
        Column("reason", TEXT, "", "Why it is not stored."),
        Column("verified_at", TIMESTAMP, "", "When its hash was found right, UTC; NULL where it is not stored."),
        Column(
            "dependencies_status",
            TEXT,
            "",
            "Whether `package_dependencies` has all of its libraries: `complete`, `incomplete` or `unknown`; NULL where"
            " it was not inspected.",
            values=("complete", "incomplete", "unknown"),
        ),
        Column(
            "secrets_status",
            TEXT,
            "",
            "Whether all of its text was searched for `package_secrets`: `complete` or `incomplete`; NULL where it was"
            " not searched.",
            values=("complete", "incomplete"),
        ),
        Column(
            "secret_rules_version", INT32, "", "Version of the rules that it was searched with; NULL where it was not."
        ),
    ),
    ("code_sha256",),
    answer_key=1,
)

_SHA256_HEX = key("sha256_hex", "SHA-256 of the package or layer, hex.")

PACKAGE_FILES = Table(
    "package_files",
    "One row per file in the directory of a stored package; account and region are NULL.",
    (
        *COMMON,
        _SHA256_HEX,
        key("path", "Name of the file in the archive."),
        Column("size_bytes", INT64, "", "Size unpacked, as the archive says.", "bytes"),
        Column("compressed_bytes", INT64, "", "Size in the archive.", "bytes"),
        Column("crc32", INT64, "", "CRC-32 of the file, as the archive says."),
    ),
    ("sha256_hex", "path"),
    answer_key=0,
)

PACKAGE_DEPENDENCIES = Table(
    "package_dependencies",
    "One row per dependency that a manifest in a stored package names; account and region are NULL.",
    (
        *COMMON,
        _SHA256_HEX,
        key("ecosystem", "Where the name belongs: pypi, npm, maven, golang, nuget, gem, composer or cargo."),
        key("name", "Name of the dependency, as its ecosystem compares names."),
        key("version", "Its version; NULL where none is told, or only a range or a place to fetch it from."),
        key("path", "The file in the archive that says so."),
    ),
    ("sha256_hex", "ecosystem", "name", "version", "path"),
    answer_key=0,
)

PACKAGE_SECRETS = Table(
    "package_secrets",
    "One row per line and rule of a suspected secret in a stored package; account and region are NULL.",
    (
        *COMMON,
        _SHA256_HEX,
        key("path", "The file in the archive; `lib/x.jar!/a.txt` is in an archive inside it."),
        key("line", "Line of the file, from 1.", type_=INT32),
        key("rule", "Rule that matched; never the value or the line."),
        Column("secret_rules_version", INT32, "", "Version of the rules; that of `packages` is the latest."),
    ),
    ("sha256_hex", "path", "line", "rule"),
    answer_key=0,
)
