"""Without -o, ``lexport report`` never overwrites the report of another dataset."""

import shutil


def test_the_name_of_the_dataset(dest, lexport, tmp_path):
    """The page is named after DEST; a later page replaces it, and a page of another dataset does not."""
    page = tmp_path / f"{dest.name}.html"
    shutil.copytree(dest, tmp_path / "elsewhere" / dest.name)
    shutil.copytree(dest, tmp_path / "three")

    assert lexport("report", dest).code == 0
    assert lexport("report", f"{dest}/").code == 0
    assert sorted(path.name for path in tmp_path.glob("*.html")) == [page.name]
    written = page.read_bytes()

    other = lexport("report", tmp_path / "elsewhere" / dest.name)
    assert other.code == 2
    assert f"{page.name} exists and is not a report about " in other.err
    assert page.read_bytes() == written

    assert lexport("report", "three").code == 0
    assert (tmp_path / "three.html").exists()
    assert lexport("report", "three", "-o", page.name).code == 0
    assert page.read_bytes() != written


def test_what_is_no_report_stays(dest, lexport, tmp_path):
    """A file of that name that is no report of ours is left alone; its path is not in a report."""
    page = tmp_path / f"{dest.name}.html"
    page.write_text("mine")

    done = lexport("report", dest)
    assert (done.code, page.read_text()) == (2, "mine")
    assert str(dest).encode() not in lexport("report", dest, "-o", "-").out


def test_options_of_the_report(dest, lexport, tmp_path):
    """lexport.toml gives the tag of owners, a title and names of accounts; a flag wins, and a wrong name is refused."""
    config = tmp_path / "lexport.toml"
    config.write_text(
        '[report]\ntitle = "ours"\nowner-tag = "team"\n[report.account_names]\n111122223333 = "pay & go"\n'
    )

    done = lexport("report", dest, "-o", "-", "--title", "<typed>")
    assert done.code == 0, done.err
    assert b"<title>&lt;typed&gt;</title>" in done.out
    assert b"pay &amp; go" in done.out
    assert b'id="figure-owners"' in done.out

    for wrong, said in (
        ('[report.account_names]\n1 = "x"', "[report.account_names]: 1 is no account: 12 digits"),
        ("[report.account_names]\n111122223333 = 7", 'write the name in quotes: "payments"'),
        ("[report]\naccount_names = 7", "write it as a table of ids and names"),
    ):
        config.write_text(wrong)
        refused = lexport("report", dest, "-o", "-")
        assert (refused.code, refused.out) == (2, b"")
        assert said in refused.err
    config.unlink()
    assert lexport("report", dest, "--owner-tag", " ").code == 2


def test_a_dataset_without_a_whole_reading(lexport, tmp_path, write_dataset):
    """Where nothing was ever read whole, the page is written, says so, and the exit code is 1."""
    write_dataset(tmp_path / "denied", [{"scopes": [{"status": "denied"}], "status": "partial"}])
    done = lexport("report", tmp_path / "denied")

    assert done.code == 1
    assert "no account-region of" in done.err
    assert "Nothing was read whole yet" in (tmp_path / "denied.html").read_text(encoding="utf-8")
