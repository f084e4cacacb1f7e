"""The command line: thin, with clear errors, and a document that is up to date."""

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

import unmirage.auditing
import unmirage.records
from unmirage import cli
from unmirage.errors import ColumnError

HERE = Path(__file__).parent
DOC = HERE.parent / "docs" / "cli.md"


def _load_fakes():
    spec = importlib.util.spec_from_file_location("fakes", HERE / "report" / "fakes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fakes = _load_fakes()


def run(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture
def library(monkeypatch, tmp_path):
    """The library without its statistics: what it was asked, and a made-up answer."""
    source = tmp_path / "in" / "scores.csv"
    source.parent.mkdir()
    source.write_text("model,score\n")
    seen = SimpleNamespace(source=source, read=None, audit=None, answer=fakes.small())
    frame = pl.DataFrame({"file": [str(source)]})

    def read(paths, **options):
        seen.read = (paths, options)
        return SimpleNamespace(samples=frame, aggregates=frame.clear())

    def audit(records, **options):
        seen.audit = options
        return seen.answer

    monkeypatch.setattr(unmirage.records, "read", read)
    monkeypatch.setattr(sys.modules["unmirage.auditing"], "audit", audit)
    return seen


def test_an_audit_is_shown(library):
    done = run("audit", library.source)
    assert done.exit_code == 0, done.output
    assert "▲ survives" in done.stdout
    assert "addition_4_digit" in done.stdout
    assert library.read == (
        [str(library.source)],
        {"columns": {}, "scores": [], "percent": [], "skip_bad": False},
    )


def test_options_reach_the_library(library):
    options = (
        "-f Py* -f GPT* -t a* -m acc --scale flops --where shots=5 --where split=a=b --by seed "
        "--ignore run --checkpoint step=10 --higher-is-better m1 --lower-is-better m2 --items 100 "
        "--chance 0.25 --chance copa=0.5 --seed 7 --draws 50 --level 0.01 --skip-bad --percent acc "
        "--columns params=size,task=name --columns model=id --scores A,B --scores C"
    )
    assert run("audit", library.source, *options.split()).exit_code == 0
    assert library.read[1] == {
        "columns": {"params": "size", "task": "name", "model": "id"},
        "scores": ["A", "B", "C"],
        "percent": ["acc"],
        "skip_bad": True,
    }
    assert library.audit == {
        "family": ["Py*", "GPT*"],
        "task": ["a*"],
        "metric": ["acc"],
        "scale": "flops",
        "where": {"shots": "5", "split": "a=b"},
        "by": ["seed"],
        "ignore": ["run"],
        "checkpoint": "step=10",
        "higher_is_better": ["m1"],
        "lower_is_better": ["m2"],
        "items": 100,
        "chance": {"*": 0.25, "copa": 0.5},
        "seed": 7,
        "draws": 50,
        "level": 0.01,
        "progress": None,
    }


def test_files_are_written(library, tmp_path):
    out = tmp_path / "new"
    names = ("--html", out / "a.html", "--json", out / "a.json", "--csv", out / "a.csv")
    done = run("audit", library.source, *names)
    assert done.exit_code == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.csv", "a.html", "a.json"]
    assert json.loads((out / "a.json").read_text("utf-8"))["summary"]["judged"] == 5
    assert f"wrote {out / 'a.html'}" in done.stderr


def test_json_to_stdout_is_json_alone(library):
    done = run("audit", library.source, "--json", "-")
    assert json.loads(done.stdout)["schema"] == "unmirage.audit/1"


def test_pictures(library, tmp_path):
    library.answer = fakes.Audit(library.answer.judgements[3:4], (), (), {})
    done = run("audit", library.source, "--pictures", tmp_path / "p", "--quiet")
    assert done.output == ""
    assert sorted(p.suffix for p in (tmp_path / "p").iterdir()) == [".png", ".svg"]


@pytest.mark.parametrize("how", ["the path itself", "a file in a folder"])
def test_an_input_is_never_replaced(library, how):
    given = library.source if how == "the path itself" else library.source.parent
    done = run("audit", given, "--csv", library.source)
    assert done.exit_code == 2
    assert "is an input" in done.stderr
    assert library.source.read_text() == "model,score\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--where", "shots"], "--where 'shots' is no NAME=VALUE"),
        (["--chance", "copa=half"], "holds no number"),
        (["--columns", "a=b,a=c"], "gives a twice"),
    ],
)
def test_a_bad_option_has_a_mend(library, arguments, words):
    done = run("audit", library.source, *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert "mend: " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_one_clear_block(library, monkeypatch):
    def fail(*_, **__):
        raise ColumnError("no column \x1b[31mparams", file="a.csv", mend="--columns params=size")

    monkeypatch.setattr(unmirage.records, "read", fail)
    done = run("audit", library.source)
    assert done.exit_code == 2
    assert done.stderr == "error: a.csv: no column ␛[31mparams\n  mend: --columns params=size\n"
    assert isinstance(run("audit", library.source, "--debug").exception, ColumnError)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(library, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("audit", library.source, "--html", tmp_path / "file" / "a.html")
    assert done.exit_code == 2
    assert "error: " in done.stderr
    assert str(tmp_path / "file") in done.stderr


def test_nothing_judged_is_told_to_scripts(library):
    library.answer = fakes.empty()
    assert run("audit", library.source).exit_code == 1


def test_the_demo_tells_a_story(library, tmp_path):
    done = run("demo", "--html", tmp_path / "demo.html")
    assert done.exit_code == 0, done.output
    assert "Verdict: a mirage of the metric." in done.stdout.replace("\n", " ")
    assert (tmp_path / "demo.html").exists()


def test_the_metrics():
    done = run("metrics")
    assert done.exit_code == 0, done.output
    assert "exact_match" in done.stdout
    rows = json.loads(run("metrics", "--json").stdout)
    assert next(r for r in rows if r["name"] == "edit_distance")["high"] is None


def test_the_version():
    assert run("--version").stdout.startswith("unmirage ")


@pytest.mark.skipif(version("typer") != "0.29.2", reason="each release words its help anew")
def test_the_document_is_up_to_date():
    """Remake it with ``python tests/test_cli.py``."""
    assert DOC.read_text("utf-8") == document()


def test_every_option_is_in_the_document():
    text = DOC.read_text("utf-8")
    for arguments in COMMANDS:
        options = [o for o in run(*arguments, "--help").stdout.split() if o.startswith("--")]
        assert options
        assert all(f"{option.rstrip('.,;')}" in text for option in options)


def test_help_needs_no_drawing():
    code = (
        "import sys; sys.modules['unmirage'] = type(sys)('unmirage'); "
        f"sys.modules['unmirage'].__path__ = {[str(Path(cli.__file__).parent)]!r}; "
        "import unmirage.cli; "
        "print([m for m in ('polars', 'scipy', 'altair', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- the document

COMMANDS = ([], ["audit"], ["demo"], ["metrics"])

_TEXT = """# The command line

Made from `--help` by `python tests/test_cli.py`.

`unmirage audit` exits with 0, with 1 where not one curve could be judged, and with 2 after an
error, which it tells in one block on standard error with what to do about it. What it writes to a
file is there in full or not at all, and never replaces an input. Options marked GLOB take the
patterns of a shell (`'addition*'`) and may be given more than once, as may those marked METRIC,
COLUMN, COLUMN=VALUE or [TASK=]SCORE.

```
unmirage audit results/ --html report.html
unmirage audit scores.parquet --family Pythia --task lambada --metric acc --scale flops
unmirage audit results/ --json - | jq '.audits[] | select(.verdict == "survives") | .label'
```
"""


def document():
    parts = [_TEXT]
    for arguments in COMMANDS:
        name = " ".join(["unmirage", *arguments])
        # One width and no colour: the same text whatever terminal made it.
        runner = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1", "TERMINAL_WIDTH": "100"})
        shown = runner.invoke(cli.app, [*arguments, "--help"], prog_name="unmirage").stdout
        lines = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## `{name}`\n\n```\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    DOC.write_text(document(), "utf-8")
