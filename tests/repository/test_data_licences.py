"""`DATA-LICENCES.md`: each project once, with its licence and attribution; its script."""

import pathlib
import runpy
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
data_licences = types.SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "data_licences.py")))
# Projects whose licence asks for the same licence.
SHARE_ALIKE = {
    *("anki", "celery", "company-terms", "datica-policies", "embedded-rust", "luanti", "owasp"),
    *("pi-hole", "pip", "redis", "security-in-a-box", "sonic-pi"),
}


def rows(page: str) -> list[list[str]]:
    lines = page.partition("| --- |")[2].splitlines()[1:]
    return [line[2:-2].split(" | ") for line in lines]


def test_the_page_has_each_project_once_with_licence_and_attribution() -> None:
    page = data_licences.PAGE.read_text("utf-8")
    table = rows(page)
    names = [row[0] for row in table]
    assert names == sorted(set(names))
    assert f"the {len(names)} projects\n" in page
    assert not set(names) & set(data_licences.EXCLUDED)
    for name, source, licence, attribution in table:
        assert "](https://github.com/" in source, name
        assert len(licence) >= 3, name
        assert len(attribution) >= 6, name
    share_alike = {row[0] for row in table if "BY-SA" in row[2] or "ShareAlike" in row[2]}
    assert share_alike == SHARE_ALIKE


def test_notice_and_the_docs_name_the_page_and_the_wheel_has_it() -> None:
    for path in ("NOTICE", "docs/presets.md", "pyproject.toml"):
        assert data_licences.PAGE.name in (ROOT / path).read_text("utf-8"), path


FILES = {
    "a": "Repository: https://github.com/a/a (docs)\nLicence: MIT\nAttribution: The A | B.\n",
    "b": (
        "Repository 1: https://github.com/b/b, folder x\nLicence: MIT. Attribution: B.\n"
        "https://github.com/b/c\nRepository: https://github.com/b/d (x), licence CC BY 4.0\n"
        "Note: C is changed.\n"
    ),
    "18f-handbook": "Repository: https://github.com/a/a\nLicence: CC0\nAttribution: A.\n",
}


def write(folder: pathlib.Path, files: dict[str, str]) -> pathlib.Path:
    for name, text in files.items():
        (folder / name).mkdir()
        (folder / name / "LICENCE.txt").write_text(text, encoding="utf-8")
    return folder


def test_the_script_reads_the_files_of_projects(tmp_path) -> None:
    page = data_licences.page(write(tmp_path, FILES))
    assert "the 2 projects\n" in page
    link = "[{0}](https://github.com/{0})".format
    assert rows(page) == [
        ["a", link("a/a"), "MIT", "The A \\| B."],
        [
            "b",
            ", ".join(map(link, ("b/b", "b/c", "b/d"))),
            "MIT; CC BY 4.0",
            "B. Note: C is changed.",
        ],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILES["a"].replace("Licence: MIT\n", ""), "lacks licence"),
        (FILES["a"].replace("Attribution: The A | B.", "Attribution: "), "lacks attribution"),
        ("Licence: MIT\nAttribution: A.", "lacks source"),
        ("Copyright: A.", "unknown line 'Copyright: A.'"),
    ],
)
def test_an_incomplete_file_raises(tmp_path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^x: .*{message}"):
        data_licences.page(write(tmp_path, {"x": text}))
