"""The rows that a response of GetFunction must become: a second implementation, by hand and from AWS's reference.

Nothing here is made from the tables of lexport, so that a wrong declaration there is found.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import datetime

from function_responses import INSTANTS, LINKS, REMOVED

from lexport.extract.hash_key import HashKey

KEY = b"0123456789abcdef"

# Written by hand from the reference, not from the tables: path, type, column.
PATHS = """
Configuration.FunctionName text function_name
Configuration.Runtime text runtime
Configuration.Role text role
Configuration.Handler text handler
Configuration.CodeSize int64 code_size
Configuration.Description text description
Configuration.Timeout int32 timeout
Configuration.MemorySize int32 memory_size
Configuration.CodeSha256 text code_sha256
Configuration.Version text version
Configuration.VpcConfig.VpcId text vpc_config_vpc_id
Configuration.VpcConfig.Ipv6AllowedForDualStack bool vpc_config_ipv6_allowed_for_dual_stack
Configuration.DeadLetterConfig.TargetArn text dead_letter_config_target_arn
Configuration.Environment.Error.ErrorCode text environment_error_code
Configuration.Environment.Error.Message text environment_error_message
Configuration.KMSKeyArn text kms_key_arn
Configuration.TracingConfig.Mode text tracing_config_mode
Configuration.MasterArn text master_arn
Configuration.RevisionId text revision_id
Configuration.State text state
Configuration.StateReason text state_reason
Configuration.StateReasonCode text state_reason_code
Configuration.LastUpdateStatus text last_update_status
Configuration.LastUpdateStatusReason text last_update_status_reason
Configuration.LastUpdateStatusReasonCode text last_update_status_reason_code
Configuration.SigningProfileVersionArn text signing_profile_version_arn
Configuration.SigningJobArn text signing_job_arn
Configuration.PackageType text package_type
Configuration.ImageConfigResponse.ImageConfig.WorkingDirectory text image_config_working_directory
Configuration.ImageConfigResponse.Error.ErrorCode text image_config_error_code
Configuration.ImageConfigResponse.Error.Message text image_config_error_message
Configuration.EphemeralStorage.Size int32 ephemeral_storage_size
Configuration.SnapStart.ApplyOn text snap_start_apply_on
Configuration.SnapStart.OptimizationStatus text snap_start_optimization_status
Configuration.RuntimeVersionConfig.RuntimeVersionArn text runtime_version_config_runtime_version_arn
Configuration.RuntimeVersionConfig.Error.ErrorCode text runtime_version_config_error_code
Configuration.RuntimeVersionConfig.Error.Message text runtime_version_config_error_message
Configuration.LoggingConfig.LogFormat text logging_config_log_format
Configuration.LoggingConfig.ApplicationLogLevel text logging_config_application_log_level
Configuration.LoggingConfig.SystemLogLevel text logging_config_system_log_level
Configuration.LoggingConfig.LogGroup text logging_config_log_group
Configuration.TenancyConfig.TenantIsolationMode text tenancy_config_tenant_isolation_mode
{lmi}.CapacityProviderArn text capacity_provider_arn
{lmi}.PerExecutionEnvironmentMaxConcurrency int32 capacity_provider_per_environment_max_concurrency
{lmi}.ExecutionEnvironmentMemoryGiBPerVCpu double capacity_provider_environment_memory_gib_per_vcpu
Configuration.ConfigSha256 text config_sha256
Configuration.DurableConfig.KMSKeyArn text durable_config_kms_key_arn
Configuration.DurableConfig.RetentionPeriodInDays int32 durable_config_retention_period_in_days
Configuration.DurableConfig.ExecutionTimeout int32 durable_config_execution_timeout
Configuration.RuntimeConfig.RuntimeArn text runtime_config_runtime_arn
Configuration.RuntimeConfig.RuntimeAlias text runtime_config_runtime_alias
Configuration.AcceleratorConfig.AcceleratorMemorySize int32 accelerator_config_accelerator_memory_size
Code.RepositoryType text code_repository_type
Code.ImageUri text code_image_uri
Code.ResolvedImageUri text code_resolved_image_uri
Code.ResolvedS3Object.S3Bucket text code_resolved_s3_object_bucket
Code.ResolvedS3Object.S3Key text code_resolved_s3_object_key
Code.ResolvedS3Object.S3ObjectVersion text code_resolved_s3_object_version
Code.SourceKMSKeyArn text code_source_kms_key_arn
Code.Error.ErrorCode text code_error_code
Code.Error.Message text code_error_message
TagsError.ErrorCode text tags_error_code
TagsError.Message text tags_error_message
Concurrency.ReservedConcurrentExecutions int32 reserved_concurrent_executions
""".replace("{lmi}", "Configuration.CapacityProviderConfig.LambdaManagedInstancesCapacityProviderConfig")
LAYER_PATHS = """
Arn text layer_arn
CodeSize int64 code_size
SigningProfileVersionArn text signing_profile_version_arn
SigningJobArn text signing_job_arn
"""
FILE_SYSTEM_PATHS = """
Arn text arn
LocalMountPath text local_mount_path
S3FilesConfig.DirectS3Read text s3_files_config_direct_s3_read
"""
C = "Configuration."
SPECIAL = {
    C + "FunctionArn": "arn",
    C + "LastModified": "instant",
    C + "Architectures": "one",
    C + "ImageConfigResponse.ImageConfig.EntryPoint": "array:image_config_entry_point",
    C + "ImageConfigResponse.ImageConfig.Command": "array:image_config_command",
    C + "VpcConfig.SubnetIds": "texts:subnets",
    C + "VpcConfig.SecurityGroupIds": "texts:security_groups",
    C + "Layers": "objects:layers",
    C + "FileSystemConfigs": "objects:file_systems",
    C + "Environment.Variables": "pairs:env_vars",
    "Tags": "pairs:tags",
    "Code.Location": "dropped",
}


# --- values ----------------------------------------------------------------------------------------------------------


def as_sent(value):
    """Return a value as a table can hold it: lone surrogates and NUL are replaced."""
    if isinstance(value, str):
        return re.sub("[\x00\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, list):
        return [as_sent(item) for item in value]
    if isinstance(value, dict):
        done = {}
        for key, item in value.items():
            name = as_sent(key)
            while name in done:
                name += "\ufffd"
            done[name] = as_sent(item)
        return done
    return value


def scrub(value, *, masks):
    """Return a value without presigned URLs, and without values of variables where these must not be stored."""
    if isinstance(value, str):
        for link in LINKS:
            value = value.replace(link, REMOVED)
        return value
    if isinstance(value, list):
        return [scrub(item, masks=masks) for item in value]
    if isinstance(value, dict):
        return {
            scrub(key, masks=masks): outline(item) if is_guarded(key, item, masks=masks) else scrub(item, masks=masks)
            for key, item in value.items()
        }
    return value


def is_guarded(key, item, *, masks):
    """Tell whether the value of a key that the strategies use may be a secret."""
    is_of_environment = key in ("Environment", "Variables") or (
        "Environment" in str(key) and type(item) in (list, dict)
    )
    return str(key).lower() == "code" or (masks and is_of_environment)


def outline(item):
    kinds = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    kind = "null" if item is None else kinds[type(item)]
    if kind == "number":  # how many digits is not the point
        return {"type": kind}
    return {"type": kind, "length": len(item if isinstance(item, str | list | dict) else json.dumps(item))}


def fits(kind, item):
    if kind in ("int32", "int64"):
        bits = 31 if kind == "int32" else 63
        return type(item) is int and -(2**bits) <= item < 2**bits
    return type(item) in {"text": (str,), "bool": (bool,), "double": (float, int)}[kind]


class Expected:
    """The rows that a response must become, by the paths above."""

    def __init__(self, document, env):
        self.masks = env != "values"
        self.env = env
        self.row = {}
        self.extra = {}
        self.wrong = []
        self.tables = {
            name: [] for name in ("subnets", "security_groups", "layers", "file_systems", "env_vars", "tags")
        }
        self.walk(document, (), PATHS, self.row, self.extra)
        self.row.setdefault("function_name", None)
        self.row["function_name"] = self.row["function_name"] or "asked-for"
        self.row["version"] = self.row.get("version") or "$LATEST"
        if self.extra:
            self.row["extra_json"] = self.extra
        key = {"function_name": self.row["function_name"], "version": self.row["version"]}
        for name, rows in self.tables.items():
            for row in rows:
                row.update({"function_name": key["function_name"]} if name == "tags" else key)
        if env == "none":
            self.tables["env_vars"] = []

    def keep(self, path, item, extra):
        above = (is_guarded(key, {}, masks=self.masks) for key in path[:-1])
        is_masked = any(above) or is_guarded(path[-1], item, masks=self.masks)
        path = tuple(scrub(step, masks=False) if isinstance(step, str) else step for step in path)
        extra[path] = outline(item) if is_masked else scrub(item, masks=self.masks)

    def bad(self, path, item, extra):
        self.wrong.append(path)
        self.keep(path, item, extra)

    def walk(self, value, path, paths, row, extra):
        types = {tuple(line.split()[0].split(".")): line.split()[1:] for line in paths.strip().splitlines()}
        specials = {tuple(name.split(".")): what for name, what in SPECIAL.items()} if paths is PATHS else {}
        known = set(types) | set(specials)
        objects = {name[:end] for name in known for end in range(1, len(name))}

        def visit(node, here):
            for key, item in node.items():
                spot = (*here, key)
                full = (*path, *spot)
                if item is None:
                    continue
                if spot in objects:
                    visit(item, spot) if isinstance(item, dict) else self.bad(full, item, extra)
                elif spot in types:
                    kind, column = types[spot]
                    if fits(kind, item):
                        row[column] = float(item) if kind == "double" else scrub(item, masks=False)
                    else:
                        self.bad(full, item, extra)
                elif spot in specials:
                    what, _, name = specials[spot].partition(":")
                    getattr(self, what)(item, full, name)
                else:
                    self.keep(full, item, extra)

        visit(value, ())

    def dropped(self, item, path, name):
        pass

    def arn(self, item, path, name):
        if isinstance(item, str):
            self.row["function_arn"] = scrub(re.sub(r"^(arn(:[^:]*){6}):[^:]*\Z", r"\1", item), masks=False)
        else:
            self.bad(path, item, self.extra)

    def instant(self, item, path, name):
        if not isinstance(item, str):
            self.bad(path, item, self.extra)
            return
        self.row["last_modified"] = scrub(item, masks=False)
        if item in INSTANTS:
            self.row["last_modified_at"] = INSTANTS[item]
        elif item:
            self.wrong.append(path)

    def one(self, item, path, name):
        if isinstance(item, list) and len(item) == 1 and isinstance(item[0], str):
            self.row["architecture"] = scrub(item[0], masks=False)
        elif item not in ([], [None]):
            self.bad(path, item, self.extra)

    def array(self, item, path, name):
        if isinstance(item, list) and all(isinstance(part, str) for part in item):
            self.row[name] = scrub(item, masks=False)
        else:
            self.bad(path, item, self.extra)

    def texts(self, item, path, name):
        if not isinstance(item, list):
            self.bad(path, item, self.extra)
            return
        for place, part in enumerate(item):
            if isinstance(part, str):
                column = "subnet_id" if name == "subnets" else "security_group_id"
                self.tables[name].append({column: scrub(part, masks=False)})
            elif part is not None:
                self.bad((*path, place), part, self.extra)

    def objects(self, item, path, name):
        if not isinstance(item, list):
            self.bad(path, item, self.extra)
            return
        for place, part in enumerate(item):
            if isinstance(part, dict):
                row, extra = {"position": place}, {}
                self.walk(part, (), LAYER_PATHS if name == "layers" else FILE_SYSTEM_PATHS, row, extra)
                if extra:
                    row["extra_json"] = extra
                self.tables[name].append(row)
            elif part is not None:
                self.bad((*path, place), part, self.extra)

    def pairs(self, item, path, name):
        if not isinstance(item, dict):
            self.bad(path, item, self.extra)
            return
        for key, value in item.items():
            if isinstance(value, str):
                row = {"key" if name == "tags" else "name": scrub(key, masks=False)}
                if name == "tags":
                    row["value"] = scrub(value, masks=False)
                else:
                    digest = hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32]
                    row |= {"value_length": len(value), "value_hmac": digest, "hash_key_id": HashKey(KEY).key_id}
                    if self.env == "values":
                        row["value"] = scrub(value, masks=False)
                self.tables[name].append(row)
            elif value is not None:
                self.bad((*path, key), value, self.extra)


# --- what Parquet returns --------------------------------------------------------------------------------------------

STEP = re.compile(r'\.?(?:([A-Za-z0-9_-]+)|\[("(?:[^"\\]|\\.)*")\])|\[(\d+)\]', re.DOTALL)


def read_path(text):
    """Split a path of extra_json; there is one way to do it."""
    steps, end = [], 0
    while end < len(text):
        match = STEP.match(text, end)
        plain, quoted, place = match.groups()
        steps.append(plain or (json.loads(quoted, strict=False) if quoted else int(place)))
        end = match.end()
    return tuple(steps)


def without_length(item):
    if isinstance(item, dict):
        if item.keys() == {"type", "length"} and item["type"] == "number":
            return {"type": "number"}
        return {key: without_length(value) for key, value in item.items()}
    return [without_length(value) for value in item] if isinstance(item, list) else item


def read_extra(text):
    done = {}
    for path, item in json.loads(text).items():
        done[read_path(path)] = without_length(item)
    return done


def canonical(rows):
    """Return rows in a form where True differs from 1 and 1 from 1.0, without NULL, in a fixed order."""

    def one(value):
        if isinstance(value, dict):
            return sorted((repr(key), one(item)) for key, item in value.items())
        if isinstance(value, datetime):
            return value.isoformat()
        return [one(item) for item in value] if isinstance(value, list) else repr(value)

    return sorted(
        (sorted((name, one(value)) for name, value in row.items() if value is not None) for row in rows), key=repr
    )
