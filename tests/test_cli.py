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

import unmirage
import unmirage.auditing
import unmirage.records
from unmirage import cli
from unmirage.errors import ColumnError, FileProblem

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


NO_OPTIONS = {
    "columns": {},
    "scores": [],
    "percent": [],
    "skip_bad": False,
    "models": None,
    "strict": False,
    "workers": None,
    "max_memory": None,
    "progress": None,
}


def test_an_audit_is_shown(library):
    done = run("audit", library.source)
    assert done.exit_code == 0, done.output
    assert "▲ survives" in done.stdout
    assert "addition_4_digit" in done.stdout
    assert library.read == (
        [str(library.source)],
        NO_OPTIONS,
    )


def test_options_reach_the_library(library):
    options = (
        "-f Py* -f GPT* -t a* -m acc --scale flops --where shots=5 --where split=a=b --by seed "
        "--ignore run --checkpoint step=10 --higher-is-better m1 --lower-is-better m2 --items 100 "
        "--chance 0.25 --chance copa=0.5 --seed 7 --draws 50 --level 0.01 --no-fdr --skip-bad "
        "--models sizes.csv --strict --workers 3 --max-memory 4 "
        "--percent acc --columns params=size,task=name --columns model=id --scores A,B --scores C"
    )
    assert run("audit", library.source, *options.split()).exit_code == 0
    assert library.read[1] == {
        "columns": {"params": "size", "task": "name", "model": "id"},
        "scores": ["A", "B", "C"],
        "percent": ["acc"],
        "skip_bad": True,
        "models": Path("sizes.csv"),
        "strict": True,
        "workers": 3,
        "max_memory": 4.0,
        "progress": None,
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
        "fdr": False,
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


def test_the_card_of_a_metric(tmp_path):
    done = run("metrics", "show", "em", "--picture", tmp_path / "em.svg")
    assert done.exit_code == 0, done.output
    assert "range        0 to 1, higher is better" in done.stdout
    assert (tmp_path / "em.svg").read_text("utf-8").startswith("<svg ")
    assert json.loads(run("metrics", "show", "em", "--json").stdout)["name"] == "exact_match"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bier"], "did you mean 'brier'?"),
        (["brier", "--picture", "a.gif"], "pictures are .png or .svg"),
    ],
)
def test_a_card_that_cannot_be_is_an_error_with_a_mend(arguments, words):
    done = run("metrics", "show", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "mend: " in done.stderr


# ---------------------------------------------------------------- multiverse


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Answers of a small simulated family, in a file."""
    from unmirage.simulate import Design, Truth, samples

    path = tmp_path_factory.mktemp("multiverse") / "answers.parquet"
    samples(Truth(), Design(rungs=6, items=40, tokens=4)).write_parquet(path)
    return path


FEW = ("--most", "40", "--judge", "2", "-m", "exact_match", "-m", "cross_entropy")


def test_a_multiverse_is_shown_and_written(answers, tmp_path):
    names = {"--html": "a.html", "--json": "a.json", "-o": "a.csv", "--pictures": "p"}
    files = [part for option, name in names.items() for part in (option, tmp_path / name)]
    done = run("multiverse", answers, *FEW, *files)
    assert done.exit_code == 0, done.output
    assert "40 analyses of the same outputs, 1 task" in done.stdout
    assert "so they are dependent" in " ".join(done.stdout.split())
    assert pl.read_csv(tmp_path / "a.csv").height == 40
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["schema"] == "unmirage.multiverse/1"
    assert sorted(p.suffix for p in (tmp_path / "p").iterdir()) == [".png", ".svg"]


def test_the_extremes_of_a_multiverse_are_told(answers):
    done = run("multiverse", answers, *FEW, "--create", "--dissolve")
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    assert "Create: F0 / simulated The ability appears under" in text
    assert "Dissolve: F0 / simulated The ability does not appear under" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", "token_prob=2"], "which lies in 0 to 1"),
        (["--threshold", "token_prob"], "is no METRIC=C"),
        (["--threshold", "mse=0.1"], "do not score item by item"),
        (["--k-of-k", "30"], "K = 30 with the 40 items of exact_match"),
        (["--k-of-k", "two"], "whole numbers: --k-of-k 2,5"),
        (["--subset", "41"], "41 random items of 40"),
        (["-o", "a.txt"], "end the name in .csv or .parquet"),
        (["--draws", "5"], "too few"),
    ],
)
def test_a_multiverse_that_cannot_be_is_an_error_with_a_mend(answers, arguments, words):
    done = run("multiverse", answers, *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert "mend: " in done.stderr
    assert "Traceback" not in done.stderr


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


def test_every_command_is_in_the_document():
    named = {(c.name,) for c in cli.app.registered_commands} - {(None,)}
    named |= {(c.callback.__name__,) for c in cli.app.registered_commands if c.name is None}
    for group, app in (("lab", cli.lab.app), ("metrics", cli.metrics.app)):
        inner = app.registered_commands
        named |= {(group,), *((group, c.name or c.callback.__name__) for c in inner)}
    assert named == {tuple(arguments) for arguments in COMMANDS if arguments}


def without(modules, code):
    """What a new process prints in which these modules cannot be imported, and has not drawn."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({modules!r}))\n"
        f"{code}\n"
        "print([m for m in ('polars', 'scipy', 'altair', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().split("\n")


def test_help_needs_no_drawing_and_no_extra():
    code = (
        "sys.modules['unmirage'] = type(sys)('unmirage')\n"
        f"sys.modules['unmirage'].__path__ = {[str(Path(unmirage.__file__).parent)]!r}\n"
        "import unmirage.cli"
    )
    assert without(("jax", "optax", "safetensors"), code)[-1] == "[]"


def test_the_families_are_listed_without_the_extra():
    code = (
        "from typer.testing import CliRunner\n"
        "from unmirage.cli import app\n"
        "for words in (['lab', '--help'], ['lab', 'list'], ['lab', 'run', '--help']):\n"
        "    done = CliRunner().invoke(app, words)\n"
        "    assert done.exit_code == 0, done.output\n"
    )
    assert without(("jax", "optax", "safetensors"), code)


# ---------------------------------------------------------------- lab


@pytest.fixture
def ladder(monkeypatch):
    """The lab without its training: what it was asked."""
    from unmirage.lab import ladder

    seen = SimpleNamespace(plan=None, out=None, how=None, fail=None)

    def ran(plan, out, **how):
        seen.plan, seen.out, seen.how = plan, out, how
        how["tell"](ladder.Progress(0.5))
        how["tell"](ladder.Progress(1.0, "[1/1] recall d4 seed0: 1 parameters"))
        if seen.fail:
            raise seen.fail
        return [ladder.Finished(one, out / "x.parquet", 30.0, False) for one in plan]

    monkeypatch.setattr(ladder, "run", ran)
    monkeypatch.setattr(ladder, "require_lab", lambda: None)
    return seen


def test_the_families_are_listed():
    from unmirage.lab import families

    done = run("lab", "list")
    assert done.exit_code == 0, done.output
    assert all(name in done.stdout for name in families.FAMILIES)
    assert "8 sizes, widths 4 to 96 (192 to 110,592 parameters without" in done.stdout
    rows = json.loads(run("lab", "list", "--json").stdout)
    assert rows == families.table()


def test_a_family_is_run_as_it_is_by_default(ladder, tmp_path):
    from unmirage.lab.families import default_rungs

    for name in ("recall", "icl"):
        done = run("lab", "run", name, "--out", tmp_path / "run")
        assert done.exit_code == 0, done.output
        assert ladder.plan == default_rungs(name)
    assert ladder.out == tmp_path / "run"
    tell = ladder.how.pop("tell")
    assert callable(tell)
    assert ladder.how == {"workers": None, "device": "auto", "replace_run": False}
    assert done.stdout == ""
    assert "[1/1] recall d4 seed0" in done.stderr
    assert f"rungs in {tmp_path / 'run'}, " in done.stderr
    assert f"next: unmirage audit {tmp_path / 'run'} --html report.html" in done.stderr


def test_options_reach_the_lab(ladder, tmp_path):
    options = (
        "--sizes 4,8 --seeds 2 --items 50 --shots 1 --choices 3 --set steps=200 --set rate=0.5 "
        "--set digits=2 --workers 1 --device cpu --replace --quiet"
    )
    done = run("lab", "run", "addition", "--out", tmp_path, *options.split())
    assert (done.exit_code, done.output) == (0, "")
    assert [one.name for one in ladder.plan] == ["d4 seed0", "d4 seed1", "d8 seed0", "d8 seed1"]
    one = ladder.plan[0]
    assert (one.recipe.steps, one.recipe.rate) == (200, 0.5)
    assert dict(one.options) == {"digits": "2", "items": 50, "shots": 1, "choices": 3}
    assert (ladder.how["workers"], ladder.how["device"]) == (1, "cpu")
    assert ladder.how["replace_run"] is True
    run("lab", "run", "addition", "--out", tmp_path, "--sizes", "3", "--seeds", "1")
    assert [one.d_model for one in ladder.plan] == [4, 12, 32]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recal"], "did you mean 'recall'?"),
        (["recall", "--sizes", "large"], "--sizes 4,8,16,32"),
        (["recall", "--sizes", "0"], "at least 1"),
        (["recall", "--sizes", "8,4"], "smallest first"),
        (["recall", "--sizes", "4,6"], "no multiple of 4 heads"),
        (["recall", "--sizes", "99"], "do not fit between widths 4 and 96"),
        (["recall", "--set", "stepz=1"], "no setting 'stepz'"),
        (["recall", "--set", "steps"], "is no NAME=VALUE"),
        (["recall", "--set", "steps=few"], "a whole number is needed"),
        (["recall", "--set", "steps=0"], "from 1 to 100,000,000"),
        (["recall", "--set", "items=5", "--items", "6"], "items is given twice"),
        (["recall", "--set", "steps=5", "--set", "steps=6"], "gives steps twice"),
        (["recall", "--choices", "1"], "choices 0 or from 2 on"),
        (["addition", "--items", "1000000"], "addition holds out"),
        (["icl-labels", "--shots", "3"], "no setting 'shots'"),
    ],
)
def test_a_run_that_cannot_be_is_an_error_with_a_mend(ladder, tmp_path, arguments, words):
    done = run("lab", "run", *arguments, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert "mend: " in done.stderr
    assert "Traceback" not in done.stderr
    assert ladder.plan is None
    assert not (tmp_path / "run").exists()


def test_a_run_without_the_extra_is_an_error_with_a_mend(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "jax" else find(n))
    done = run("lab", "run", "recall", "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert done.stderr == (
        "error: the lab trains with JAX, and jax is not installed\n"
        "  mend: pip install 'unmirage[lab]'\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_folder_of_other_things_is_no_place_for_a_run(monkeypatch, tmp_path):
    monkeypatch.setattr("unmirage.lab.ladder.require_lab", lambda: None)
    (tmp_path / "thesis.tex").write_text("years")
    done = run("lab", "run", "recall", "--sizes", "1", "--out", tmp_path)
    assert done.exit_code == 2
    assert "holds other things and no run of the lab\n  mend: use a new or an empty" in done.stderr


def test_ctrl_c_is_told_to_scripts(ladder, tmp_path):
    ladder.fail = KeyboardInterrupt()
    done = run("lab", "run", "recall", "--out", tmp_path / "run")
    assert done.exit_code == 130
    assert "the same command goes on from here" in done.stderr


def test_an_error_of_the_lab_is_one_clear_block(ladder, tmp_path):
    ladder.fail = FileProblem("the checkpoint is damaged", file="a.safetensors", mend="remove it")
    done = run("lab", "run", "recall", "--out", tmp_path / "run", "--quiet")
    assert done.exit_code == 2
    assert done.stderr == "error: a.safetensors: the checkpoint is damaged\n  mend: remove it\n"
    again = run("lab", "run", "recall", "--out", tmp_path / "run", "--debug")
    assert again.exception is ladder.fail


# ---------------------------------------------------------------- the document

COMMANDS = (
    *([], ["audit"], ["read"], ["demo"], ["metrics"], ["calibrate"], ["plan"]),
    *(["forecast"], ["backtest"]),
    *(["lab"], *(["lab", name] for name in ("list", "run", "export", "reproduce"))),
    *(["multiverse"], ["metrics", "show"], ["metrics", "cards"]),
)

_TEXT = """# The command line

Made from `--help` by `python tests/test_cli.py`.

`unmirage audit` exits with 0, with 1 where not one curve could be judged, and with 2 after an
error, which it tells in one block on standard error with what to do about it. What it writes to a
file is there in full or not at all, and never replaces an input. Options marked GLOB take the
patterns of a shell (`'addition*'`) and may be given more than once, as may those marked METRIC,
COLUMN, COLUMN=VALUE or [TASK=]SCORE.

`unmirage read` and `unmirage audit` take the same paths. A file that is named and cannot be read is
an error; one that is found in a folder is left out with a warning, so that one bad log among 500
does not stop the work: `--strict` makes it an error as well, and `unmirage read --check` exits with
1 where there is any warning. The size of a model is taken from its own row, else from `--models`,
else from the bundled table of well-known models, else from its name with a warning
([models.md](models.md)).

```
unmirage audit results/ --html report.html
unmirage audit scores.parquet --family Pythia --task lambada --metric acc --scale flops
unmirage read results/ -o records.parquet
unmirage read results/ --check --strict
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
