"""Layer versions that functions use, from GetLayerVersionByArn."""

from __future__ import annotations

from lexport.model import Priority
from lexport.tables.call import Call
from lexport.tables.convert import INSTANT, JSON_ARRAY
from lexport.tables.resource import Resource
from lexport.tables.table import COMMON, INT64, TEXT, TIMESTAMP, Column, Table, key, sent

LAYER_VERSIONS = Table(
    "layer_versions",
    "One row per distinct layer version that functions use; account and region are NULL.",
    (
        *COMMON,
        key("layer_arn", "ARN of the layer version.", source="LayerVersionArn"),
        sent("Content.CodeSha256", TEXT, "SHA-256 of its archive, base64; NULL where unreadable.", name="code_sha256"),
        sent("Content.CodeSize", INT64, "Size of its archive.", "bytes", name="size_bytes"),
        sent("CreatedDate", TIMESTAMP, "When it was published, UTC.", name="created_at", convert=INSTANT),
        sent("Description", TEXT, "Description."),
        sent("LicenseInfo", TEXT, "Licence, as its publisher gave it."),
        sent("CompatibleRuntimes", TEXT, "JSON array of runtime identifiers.", convert=JSON_ARRAY),
        sent("CompatibleArchitectures", TEXT, "JSON array of instruction sets.", convert=JSON_ARRAY),
        Column(
            "status",
            TEXT,
            "",
            "`stored`, `present`, `reference`, `denied`, `failed` or `skipped`.",
            values=("stored", "present", "reference", "denied", "failed", "skipped"),
        ),
        Column("reason", TEXT, "", "Why it is not stored."),
    ),
    ("layer_arn",),
    answer_key=1,
)

GET_LAYER_VERSION = Call(
    operation="GetLayerVersionByArn",
    path="/2018-10-31/layers",
    query=("Arn={arn}", "find=LayerVersion"),
    priority=Priority.LAYERS,
    iam=("lambda:GetLayerVersion",),
    iam_resource="*",  # of any account that shares its layers, and of AWS itself
)
"""One layer version, of this account or of another that shares it."""

RESOURCE = Resource(
    name="layer_versions",
    per="layer_version",
    call=GET_LAYER_VERSION,
    tables=(LAYER_VERSIONS,),
    default=False,
    is_gap=True,
)
