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


def test_package_secrets_in_use(ask):
    """A suspected secret is shown for every version that runs it, as the newest rules see it."""
    functions = [
        {"function_name": "f", "version": "$LATEST", "code_sha256": "A="},
        {"function_name": "f", "version": "1", "code_sha256": "A="},
        {"function_name": "g", "version": "$LATEST", "code_sha256": "B="},
    ]
    layers = [{"function_name": "g", "version": "$LATEST", "position": 0, "layer_arn": "l:1"}]
    packages = [
        {"code_sha256": code, "sha256_hex": sha256_hex, "status": "present"}
        for code, sha256_hex in (("A=", "aa"), ("B=", "bb"), ("C=", "cc"))
    ]
    old, new = {"secret_rules_version": 1}, {"secret_rules_version": 2}
    searched = [package | {"secrets_status": "complete"} | old for package in packages]
    again = [package | {"secrets_status": "incomplete"} | new for package in packages if package["sha256_hex"] != "cc"]

    def secret(sha256_hex, line, version):
        return {"sha256_hex": sha256_hex, "path": "a.py", "line": line, "rule": "jwt"} | version

    snapshots = [
        {"functions": functions, "layers": layers, "layer_versions": [{"layer_arn": "l:1", "code_sha256": "C="}]},
        {
            "scopes": [],
            "packages": searched,
            "package_secrets": [secret("aa", 1, old), secret("bb", 1, old), secret("cc", 7, old), secret("zz", 1, old)],
        },
        {"scopes": [], "packages": again, "package_secrets": [secret("aa", 3, new)]},  # no longer one in bb
        {"scopes": [], "packages": packages},
    ]

    assert ask(snapshots, "SELECT * FROM package_secrets_in_use") == [
        (A, R, "f", "$LATEST", None, "a.py", 3, "jwt", "aa"),
        (A, R, "f", "1", None, "a.py", 3, "jwt", "aa"),
        (A, R, "g", "$LATEST", "l:1", "a.py", 7, "jwt", "cc"),
    ]
    asked = ask(snapshots, "SELECT sha256_hex, secrets_status, secret_rules_version FROM packages ORDER BY 1")
    assert asked == [("aa", "incomplete", 2), ("bb", "incomplete", 2), ("cc", "complete", 1)]
