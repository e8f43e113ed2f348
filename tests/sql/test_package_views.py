"""The views of packages on a small hand-written dataset, with all their rows."""

A, R = "111122223333", "eu-west-1"


def test_package_versions(ask):
    """Every version has the newest row of its package, images and unprocessed ones too; sharing counts all Regions."""
    functions = [
        {"function_name": "f", "version": "$LATEST", "package_type": "Zip", "code_sha256": "a", "code_size": 5},
        {"function_name": "f", "version": "1", "package_type": "Zip", "code_sha256": "b", "code_size": 6},
        {"function_name": "g", "version": "$LATEST", "package_type": "Image", "code_sha256": "c0", "code_size": 0},
        {"function_name": "h", "version": "$LATEST", "function_arn": "arn:h", "package_type": "Zip", "code_size": 7},
        {"function_name": "i", "version": "$LATEST", "function_arn": "arn:i", "package_type": "Zip"},
        {
            "function_name": "f",
            "version": "$LATEST",
            "runtime": "python3.13",
            "package_type": "Zip",
            "code_sha256": "a",
            "code_size": 5,
            "region": "us-east-1",
        },
    ]
    snapshots = [
        {
            "functions": functions,
            "scopes": [{}, {"region": "us-east-1"}],
            "packages": [{"code_sha256": "a", "status": "failed", "reason": "hash_mismatch: other bytes"}],
        },
        {
            "scopes": [],
            "packages": [
                {"code_sha256": "a", "status": "stored", "path": "_packages/sha256/aa/aa.zip"},
                {"code_sha256": "c0", "status": "image"},
            ],
        },
    ]

    path = "_packages/sha256/aa/aa.zip"
    expected = [
        (A, R, "f", "$LATEST", None, "Zip", "a", 5, "stored", None, path, 2),
        (A, R, "f", "1", None, "Zip", "b", 6, None, None, None, 1),
        (A, R, "g", "$LATEST", None, "Image", "c0", 0, "image", None, None, 1),
        (A, R, "h", "$LATEST", None, "Zip", None, 7, None, None, None, 1),
        (A, R, "i", "$LATEST", None, "Zip", None, None, None, None, None, 1),
        (A, "us-east-1", "f", "$LATEST", "python3.13", "Zip", "a", 5, "stored", None, path, 2),
    ]
    assert expected == ask(snapshots, "SELECT * FROM package_versions")
