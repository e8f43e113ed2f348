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
