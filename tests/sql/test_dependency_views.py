"""The views over the contents of packages, with all their rows."""

A, R = "111122223333", "eu-west-1"


def test_dependencies_in_use(ask):
    """A library is shown for every version that uses it, in its package or a layer, by the newest inspection."""
    functions = [
        {"function_name": "f", "version": "$LATEST", "code_sha256": "A="},
        {"function_name": "f", "version": "1", "code_sha256": "A="},
        {"function_name": "g", "version": "$LATEST", "code_sha256": "B="},
        {"function_name": "i", "version": "$LATEST", "code_sha256": "cc", "package_type": "Image"},
    ]
    layers = [{"function_name": "g", "version": "$LATEST", "position": 0, "layer_arn": "l:1"}]
    packages = [
        {"code_sha256": "A=", "sha256_hex": "aa", "status": "stored"},
        {"code_sha256": "B=", "sha256_hex": "bb", "status": "failed"},
        {"code_sha256": "cc", "sha256_hex": "cc", "status": "image"},
        {"code_sha256": "3d0=", "sha256_hex": "dddd", "status": "stored"},
    ]
    layer_versions = [
        {"layer_arn": "l:1", "code_sha256": "3d0=", "status": "stored"},
        {"layer_arn": "l:2", "code_sha256": "3d0=", "status": "stored"},
    ]

    def log4j(sha256_hex, version, path):
        return {"sha256_hex": sha256_hex, "ecosystem": "maven", "name": "l:log4j", "version": version, "path": path}

    snapshots = [
        {"functions": functions, "layers": layers, "packages": packages, "layer_versions": layer_versions},
        {"scopes": [], "package_dependencies": [log4j("aa", "2.13.0", "old"), log4j("ee", "2.14.1", "nobody's")]},
        {"scopes": [], "package_dependencies": [log4j("aa", "2.14.1", "a.jar"), log4j("dddd", "2.14.1", "b.jar")]},
    ]

    expected = [
        (A, R, "f", "$LATEST", None, "maven", "l:log4j", "2.14.1", "aa", "a.jar"),
        (A, R, "f", "1", None, "maven", "l:log4j", "2.14.1", "aa", "a.jar"),
        (A, R, "g", "$LATEST", "l:1", "maven", "l:log4j", "2.14.1", "dddd", "b.jar"),
    ]
    assert expected == ask(snapshots, "SELECT * FROM dependencies_in_use")
