"""Files of every kind, damaged ones, folders, the store and the real tables."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import msgspec
import polars as pl
import pytest

from unmirage.errors import ColumnError, FileProblem, OptionError, UnmirageError
from unmirage.records import extra_columns, jsonlines, read, read_store, write_store
from unmirage.records.columns import CANONICAL_AGGREGATES, CANONICAL_SAMPLES
from unmirage.types import Records

DATA = Path(__file__).parents[2].parent / "shared" / "data"
TABULAR = DATA.parent / "formats" / "tabular"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real tables are not there: {DATA}")

SCORES = pl.DataFrame(
    {
        "family": ["f", "f", "g"],
        "model": ["a", "b", "c"],
        "params": [70e6, 1.4e9, 7e9],
        "task": ["t\nwo lines", 'quote"s', "tüv, comma"],
        "shots": [0, 5, None],
        "metric": ["acc", "acc", "bleu"],
        "score": [0.1, 0.25, 31.5],
        "stderr": [0.01, None, 0.5],
        "higher_is_better": [True, True, None],
        "temperature": [0.0, 0.5, 1.0],
        "note": ["x", None, "z"],
    }
)
ITEMS = pl.DataFrame(
    {
        "model": ["a", "a", "b"],
        "params": [70e6, 70e6, 1.4e9],
        "task": ["t", "t", "t"],
        "item": ["q1", "q2", "q1"],
        "output": ["\x1b[31mred\x00", "", "x\r\ny"],
        "targets": [["red"], ["a", "b"], ["x"]],
        "choice_logprobs": [[-0.5, -1.0], [-2.0, -0.25], None],
        "choices": [["p", "q"], ["p", "q"], None],
        "target_index": [0, 1, None],
    }
)


def write(frame: pl.DataFrame, path: Path) -> Path:
    """The frame in the kind of file that the name says; lists in CSV as JSON text."""
    kind = path.name.split(".", 1)[1].removesuffix(".gz")
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind in ("arrow", "feather"):
        frame.write_ipc(path)
    else:
        raw = _text(frame, kind).encode()
        path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def _text(frame: pl.DataFrame, kind: str) -> str:
    if kind in ("csv", "tsv"):
        lists = [c for c, t in frame.schema.items() if isinstance(t, pl.List)]
        flat = frame.with_columns(
            pl.Series(c, [None if v is None else json.dumps(v) for v in frame[c].to_list()])
            for c in lists
        )
        return flat.write_csv(separator="\t" if kind == "tsv" else ",")
    rows = frame.to_dicts()
    return json.dumps(rows) if kind == "json" else "\n".join(json.dumps(r) for r in rows)


def same(a: Records, b: Records) -> bool:
    def plain(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.drop("file")

    return plain(a.samples).equals(plain(b.samples)) and plain(a.aggregates).equals(
        plain(b.aggregates)
    )


ENDINGS = ["parquet", "csv", "tsv", "jsonl", "ndjson", "json", "arrow", "feather"]
ENDINGS += ["csv.gz", "tsv.gz", "jsonl.gz"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("frame", [SCORES, ITEMS], ids=["scores", "items"])
def test_every_kind_gives_the_same(tmp_path: Path, ending: str, frame: pl.DataFrame) -> None:
    got = read(write(frame, tmp_path / f"t.{ending}"))
    assert same(got, read(frame))
    filled = got.samples if "item" in frame.columns else got.aggregates
    assert filled["file"].unique().to_list() == [str(tmp_path / f"t.{ending}")]
    assert filled["row"].to_list() == [1, 2, 3]


def test_nothing_is_lost_of_a_hostile_answer(tmp_path: Path) -> None:
    got = read(write(ITEMS, tmp_path / "t.csv")).samples
    assert got["output"].to_list() == ITEMS["output"].to_list()


def test_frames_have_every_canonical_column_in_type_and_order() -> None:
    got = read(SCORES)
    for frame, known in (
        (got.aggregates, CANONICAL_AGGREGATES),
        (got.samples, CANONICAL_SAMPLES),
        (read(ITEMS).samples, CANONICAL_SAMPLES),
    ):
        assert frame.columns[: len(known)] == list(known)
        assert all(frame.schema[c] == t for c, t in known.items())
    assert extra_columns(got.aggregates) == ["note", "temperature"]


# ---------------------------------------------------------------- folders


def test_a_folder_is_read_with_its_folders_and_says_what_it_left(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    write(SCORES[:1], tmp_path / "b" / "c" / "x.csv")
    write(SCORES[1:], tmp_path / "a.parquet")
    write(ITEMS, tmp_path / "z.jsonl")
    (tmp_path / "readme.md").write_text("hi")
    (tmp_path / "config.json").write_text('{"a": 1}')
    (tmp_path / ".hidden.csv").write_text("no")
    got = read(tmp_path)
    assert got.aggregates["file"].to_list() == [
        str(tmp_path / "a.parquet"),
        str(tmp_path / "a.parquet"),
        str(tmp_path / "b" / "c" / "x.csv"),
    ]
    assert got.samples.height == 3
    left = [n for n in got.notes if n.code == "files_not_read"]
    assert sum(n.count or 0 for n in left) == 2
    assert "readme.md" in left[0].message + left[1].message


def test_a_folder_without_tables_and_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("hi")
    for bad in (tmp_path, tmp_path / "readme.md", tmp_path / "gone.csv", "a\0b.csv"):
        with pytest.raises(FileProblem):
            read(bad)


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(SCORES, tmp_path / "t.csv")
    got = read([path, tmp_path, str(path)])
    assert got.aggregates.height == 3
    assert not [n for n in got.notes if n.code == "identical_rows"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(FileProblem):
        read(tmp_path / "p.csv")
    write(SCORES, tmp_path / "t.csv")
    assert read(tmp_path).aggregates.height == 3


def test_notes_of_many_files_are_one_note(tmp_path: Path) -> None:
    for i in range(3):
        frame = SCORES.select("params", "score", "task").with_columns(pl.col("score") / (i + 2))
        write(frame.rename({"params": "size"}), tmp_path / f"{i}.csv")
    found = [n for n in read(tmp_path).notes if n.code == "columns"]
    assert len(found) == 1
    assert found[0].file is not None
    assert found[0].file.endswith("0.csv and 2 more")


def test_columns_of_different_types_in_two_files_are_joined() -> None:
    a = SCORES.with_columns(extra=pl.lit(1), other=pl.lit(1))
    b = SCORES.with_columns(extra=pl.lit(0.5), other=pl.lit("x"))
    got = read([a, b]).aggregates
    assert got["extra"].dtype == pl.Float64
    assert got["other"].unique().sort().to_list() == ["1", "x"]


# ---------------------------------------------------------------- damaged files


@pytest.mark.parametrize("ending", ENDINGS)
def test_empty_files(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_bytes(b"")
    with pytest.raises(FileProblem, match="empty"):
        read(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a,b,score\n"),
        ("t.csv", "\n\n"),
        ("t.csv", "\ufeff"),
        ("t.json", "[]"),
        ("t.json", "[1, 2]"),
        ("t.json", '[{"a": 1}'),
        ("t.json", "null"),
        ("t.json", '{\n  "a": 1\n}'),
        ("t.jsonl", "\n\n"),
        ("t.jsonl", "[1]\n"),
        ("t.jsonl", "{}\n"),
        ("t.jsonl", "[" * 100_000),
        ("t.json", "[" * 100_000),
        ("t.jsonl", '{"a":' * 5_000 + "1" + "}" * 5_000),
        ("t.csv.gz", "not packed"),
        ("t.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        ("t.parquet", "PAR1 PAR1"),
        ("t.arrow", "ARROW1 ARROW1"),
        ("t.csv", 'a,b\n"1,2\n'),
        ("t.csv", "a,b\n1,2,3\n"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnmirageError, match=r"t\.") as e:
        read(tmp_path / name)
    assert isinstance(e.value, (FileProblem, ColumnError))


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv.gz", "jsonl.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files(tmp_path: Path, ending: str, share: float) -> None:
    path = write(SCORES, tmp_path / f"t.{ending}")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(FileProblem, match="t\\."):
        read(path)


def test_a_csv_whose_last_line_is_cut_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,score,task\n1e8,0.1,t\n1e9,0.2,t\n1e10,0.")
    got = read(tmp_path / "t.csv")
    assert "cut_short" in {n.code for n in got.notes}


def test_a_csv_row_with_too_many_cells_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('params,score,task\n1e8,0.1,"t\n"\n1e9,0.2,t,x\n1e10,0.3,t\n')
    with pytest.raises(FileProblem, match="4 cells, the header 3") as e:
        read(tmp_path / "t.csv")
    assert e.value.where == "line 4"


def test_an_empty_path_is_not_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(SCORES, tmp_path / "t.csv")
    monkeypatch.chdir(tmp_path)
    assert read(".").aggregates.height
    with pytest.raises(OptionError, match="empty"):
        read(["t.csv", ""])


@pytest.mark.parametrize("given", [[["t.csv"]], [42], [None], 5, b"t.csv", [b"t.csv"], []])
def test_what_is_no_path_and_no_frame(given: object) -> None:
    with pytest.raises(OptionError, match=r"neither a path nor a data frame|nothing to read"):
        read(given)


@pytest.mark.parametrize(
    "line", ['{"params": 1e8, "sco', "[1]", "nul", '{"a": 1} {"b": 2}', '{"a": 1,}']
)
def test_a_bad_json_line_is_named_or_skipped(tmp_path: Path, line: str) -> None:
    good = '{"params": 1e8, "score": 0.5}'
    (tmp_path / "t.jsonl").write_text(f'{good}\n\n{line}\n{good[:-1]}, "x": 1}}')
    with pytest.raises(FileProblem, match="line 3"):
        read(tmp_path / "t.jsonl")
    got = read(tmp_path / "t.jsonl", skip_bad=True)
    assert got.aggregates["row"].to_list() == [1, 4]
    assert [n.count for n in got.notes if n.code == "bad_lines"] == [1]


def test_a_very_long_line_is_refused_before_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonlines, "MAX_LINE", 2**16)
    line = '{"params": 1e8, "score": 0.5}\n'
    (tmp_path / "t.jsonl").write_text(line + '{"params": "' + "x" * 2**17 + '"}\n')
    with pytest.raises(FileProblem, match="line 2: the line is longer"):
        read(tmp_path / "t.jsonl", skip_bad=True)


def test_too_many_columns(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("\n".join(f'{{"k{i}": 1}}' for i in range(6000)))
    with pytest.raises(FileProblem, match="columns"):
        read(tmp_path / "t.jsonl")


def test_text_that_is_no_text_is_replaced_and_counted(tmp_path: Path) -> None:
    head = b'{"params": 1e8, "item": "1", "target": "x", "output": '
    (tmp_path / "t.jsonl").write_bytes(
        head + b'"a\xffb"}\n' + head.replace(b'"1"', b'"2"') + b'"\\ud800c"}\n'
    )
    got = read(tmp_path / "t.jsonl")
    assert got.samples["output"].to_list() == ["a\ufffdb", "\ufffdc"]
    assert [n.count for n in got.notes if n.code == "bad_text"] == [2]
    (tmp_path / "t.csv").write_bytes(b"params,score,model\n1e8,0.5,a\xff\xfe\n")
    got = read(tmp_path / "t.csv")
    assert got.aggregates["model"].to_list() == ["a\ufffd\ufffd"]
    assert [n.count for n in got.notes if n.code == "bad_text"] == [2]


def test_numbers_that_json_forbids_and_python_writes(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        '{"params": 1e8, "score": 0.5, "stderr": NaN, "big": 123456789012345678901234567890}'
    )
    got = read(tmp_path / "t.jsonl").aggregates
    assert got["stderr"].to_list() == [None]
    assert got["big"].to_list() == [123456789012345678901234567890.0]


@pytest.mark.parametrize("raw", [b"\xff\xfea\0,\0b\0\n\0", b"\xfe\xff\0a\0,\0b\0\n"])
def test_utf16_is_named(tmp_path: Path, raw: bytes) -> None:
    for name in ("t.csv", "t.jsonl", "t.json"):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(FileProblem, match="UTF-8"):
            read(tmp_path / name)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json"])
def test_byte_order_mark_and_windows_line_ends(tmp_path: Path, ending: str) -> None:
    frame = SCORES.with_columns(task=pl.lit("t"))
    raw = _text(frame, ending).replace("\n", "\r\n")
    (tmp_path / f"t.{ending}").write_bytes(b"\xef\xbb\xbf" + raw.encode())
    assert same(read(tmp_path / f"t.{ending}"), read(frame))


def test_other_separators(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params;score\n1e8;0.5\n")
    assert read(tmp_path / "t.csv").aggregates["score"].to_list() == [0.5]


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,score,score\n1e8,0.5,0.6\n")
    with pytest.raises(ColumnError, match="two columns"):
        read(tmp_path / "t.csv")


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,score,task,zip,n2\n1e8,0.5,007,007,7\n")
    got = read(tmp_path / "t.csv").aggregates
    assert (got["task"][0], got["zip"][0], got["n2"][0]) == ("007", "007", 7)


def test_an_empty_answer_in_csv_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("params,item,output,target\n1e8,1,,x\n1e8,2,y,y\n")
    got = read(tmp_path / "t.csv")
    assert got.samples["output"].to_list() == ["", "y"]
    assert [n.count for n in got.notes if n.code == "empty_output"] == [1]


def test_odd_types_of_parquet(tmp_path: Path) -> None:
    frame = SCORES.with_columns(
        pl.col("model").cast(pl.Categorical),
        pl.col("params").cast(pl.UInt64),
        pl.col("score").cast(pl.Decimal(10, 4)),
        blob=pl.lit(b"\xff\x00"),
        when=pl.date(2024, 1, 1),
        pair=pl.struct(a=pl.lit(1), b=pl.lit("x")),
        nested=pl.lit(pl.Series([[[1, 2]]])).first(),
    )
    path = tmp_path / "t.parquet"
    frame.write_parquet(path)
    got = read(path).aggregates
    assert got["score"].to_list() == SCORES["score"].to_list()
    assert got["model"].to_list() == ["a", "b", "c"]
    assert got["pair"][0] == '{"a":1,"b":"x"}'
    assert got["nested"][0] == "[[1,2]]"


class _Column(list[object]):
    def tolist(self) -> list[object]:
        return list(self)


class _Pandas(dict[str, _Column]):
    """What is used of a pandas data frame."""

    @property
    def columns(self) -> list[str]:
        return list(self)


def test_a_pandas_frame_is_read_by_what_it_can_do() -> None:
    nan = float("nan")
    given = _Pandas(
        model=_Column(["a", "b"]), params=_Column([1e8, 1e9]), shots=_Column([5.0, nan])
    )
    given["score"] = _Column([0.5, 0.25])
    got = read(given).aggregates  # type: ignore[arg-type]
    assert got["shots"].to_list() == [5, None]
    assert got["score"].to_list() == [0.5, 0.25]
    lazy = read(SCORES.lazy()).aggregates  # type: ignore[arg-type]
    assert lazy.equals(read(SCORES).aggregates)


class _Indexed(_Pandas):
    """One whose index has a name."""

    class index:
        names = ("model",)

    def reset_index(self) -> _Pandas:
        return _Pandas({"model": _Column(["a", "b"]), **self})


class _Time:
    def isoformat(self) -> str:
        return "2024-01-01T00:00:00"


class _Array(list[float]):
    def tolist(self) -> list[float]:
        return list(self)

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")


def test_a_named_index_of_pandas_is_a_column() -> None:
    given = _Indexed(params=_Column([1e8, 1e9]), score=_Column([0.5, 0.25]))
    assert read(given).aggregates["model"].to_list() == ["a", "b"]  # type: ignore[arg-type]
    given["model"] = _Column(["c", "d"])
    assert read(given).aggregates["model"].to_list() == ["c", "d"]  # type: ignore[arg-type]


def test_times_and_arrays_in_a_pandas_frame() -> None:
    given = _Pandas(params=_Column([1e8, 1e9]), item=_Column(["x", "y"]))
    given["when"] = _Column([_Time(), None])
    given["choice_logprobs"] = _Column([_Array([-1.0, -2.0]), _Array([-1.0, -3.0])])
    got = read(given).samples  # type: ignore[arg-type]
    assert got["when"].to_list() == ["2024-01-01T00:00:00", None]
    assert got["choice_logprobs"].to_list() == [[-1.0, -2.0], [-1.0, -3.0]]


class _Arrow:
    """What is used of a table of Arrow's."""

    def __init__(self, frame: pl.DataFrame, names: list[str] | None = None) -> None:
        self.frame, self.column_names = frame, names or frame.columns

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self.frame.__arrow_c_stream__(schema)


def test_a_table_of_arrow() -> None:
    assert read(_Arrow(SCORES)).aggregates.equals(read(SCORES).aggregates)  # type: ignore[arg-type]
    with pytest.raises(ColumnError, match="two columns are named 'score'"):
        read(_Arrow(SCORES, ["score", "score"]))  # type: ignore[arg-type]
    with pytest.raises(FileProblem, match="holds no rows"):
        read(_Arrow(SCORES.clear()))  # type: ignore[arg-type]


def test_a_dictionary_is_no_list_of_paths() -> None:
    with pytest.raises(OptionError, match="dict is neither a path nor a data frame"):
        read({"model": ["a"], "score": [0.5]})  # type: ignore[arg-type]


# ---------------------------------------------------------------- the store


def test_the_store_gives_back_what_was_written(tmp_path: Path) -> None:
    first = read([SCORES, ITEMS, SCORES.with_columns(shots=None, path=pl.lit("5-shot"))])
    write_store(first, tmp_path / "s")
    for got in (read_store(tmp_path / "s"), read(tmp_path / "s"), read([tmp_path])):
        assert got.samples.equals(first.samples)
        assert got.aggregates.equals(first.aggregates)
        assert got.notes == first.notes
    data = next((tmp_path / "s").glob("samples-*.parquet"))
    assert pl.read_parquet_metadata(data)["unmirage_records_version"] == "1"


def test_a_store_is_replaced_as_one_and_nothing_else_is(tmp_path: Path) -> None:
    write_store(read(SCORES), tmp_path / "s")
    (tmp_path / "s" / "mine.txt").write_text("kept")
    write_store(read(ITEMS), tmp_path / "s")
    assert read_store(tmp_path / "s").samples.height == 3
    names = sorted(p.name.split("-")[0] for p in (tmp_path / "s").iterdir())
    assert names == ["aggregates", "mine.txt", "samples", "unmirage"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    for bad in ("other", "file"):
        with pytest.raises(FileProblem):
            write_store(read(SCORES), tmp_path / bad)


def test_an_interrupted_write_leaves_the_old_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(read(SCORES), tmp_path / "s")

    def fail(*args: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as m:
        m.setattr(os, "replace", fail)
        with pytest.raises(FileProblem, match="disk full"):
            write_store(read(ITEMS), tmp_path / "s")
    assert read_store(tmp_path / "s").aggregates.height == 3


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"format": "other"},
        {"samples": "../../etc/passwd"},
        {"samples": "gone.parquet"},
        {"rows": {"samples": 7, "aggregates": 3}},
        {"notes": 3},
    ],
)
def test_a_manifest_that_cannot_be_right(tmp_path: Path, change: dict[str, object]) -> None:
    write_store(read(SCORES), tmp_path)
    path = tmp_path / "unmirage-records.json"
    path.write_bytes(msgspec.json.encode({**json.loads(path.read_text()), **change}))
    with pytest.raises(FileProblem):
        read_store(tmp_path)
    with pytest.raises(FileProblem):
        read(tmp_path)


def test_a_store_with_another_schema_or_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="params"):
        write_store(
            Records(read(ITEMS).samples, SCORES.cast({"params": pl.String})), tmp_path / "x"
        )
    write_store(read(SCORES), tmp_path / "s")
    data = next((tmp_path / "s").glob("aggregates-*.parquet"))
    data.write_bytes(data.read_bytes()[:-20])
    with pytest.raises(FileProblem):
        read_store(tmp_path / "s")
    with pytest.raises(FileProblem, match="no store"):
        read_store(tmp_path)


# ---------------------------------------------------------------- real tables


@real
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("pythia_evals", 218_688),
        ("olmo_ladder", 394_598),
        ("obsscaling", 20_565),
        ("gadre_overtraining", 5_616),
        ("bigscience", 14_945),
    ],
)
def test_real_tables(name: str, rows: int) -> None:
    got = read(DATA / f"{name}.parquet")
    assert (got.aggregates.height, got.samples.height) == (rows, 0)
    assert got.aggregates["score"].null_count() == 0


@real
def test_folders_of_pythia_that_lie_about_their_shots() -> None:
    got = read(DATA / "pythia_evals.parquet")
    found = [n for n in got.notes if n.code == "shots_disagree"]
    lying = pl.read_parquet(DATA / "pythia_evals.parquet")["dir_says_5shot_config_says_0"].sum()
    assert len(found) == 1
    assert (found[0].count or 0) >= lying > 0


@real
def test_per_item_answers_of_bbh() -> None:
    with pytest.raises(ColumnError, match="how large"):
        read(DATA / "bbh_codex_persample.parquet")
    got = read(DATA / "bbh_codex_persample.parquet", need_scale=False)
    assert got.samples.height == 13_022
    assert "'mode'" in next(n.message for n in got.notes if n.code == "setting_from_extra")


@real
def test_plain_csv_of_the_field() -> None:
    got = read(TABULAR / "base_llm_benchmark_eval.csv", scores=["MMLU", "ARC-C"]).aggregates
    row = got.filter(model="meta-llama/Llama-2-7b-hf", task="MMLU")
    assert row.select("family", "params", "tokens", "flops").rows() == [
        ("Llama-2", 7e9, 2e12, pytest.approx(84e21))
    ]
    ladder = read(TABULAR / "190M-1xC.csv", scores=["eval/downstream/*"]).aggregates
    assert ladder["step"].null_count() == 0
    assert ladder["task"].n_unique() > 10
    with pytest.raises(ColumnError):
        read(TABULAR / "base_llm_emergent_capability_eval.csv", scores=["*_acc"])


def test_a_table_of_other_things_in_a_folder_is_left_out_and_told(tmp_path):
    (tmp_path / "scores.csv").write_text(
        "model,params,task,metric,score\na,1e6,t,acc,0.1\nb,1e7,t,acc,0.2\nc,1e8,t,acc,0.3\n"
    )
    (tmp_path / "people.csv").write_text("name,age\nann,31\nbob,45\n")
    records = read(tmp_path)
    assert records.aggregates.height == 3
    (note,) = [n for n in records.notes if n.code == "file_left_out"]
    assert note.level == "warning"
    assert note.file is not None
    assert note.file.endswith("people.csv")
    with pytest.raises(ColumnError):
        read([tmp_path / "scores.csv", tmp_path / "people.csv"])
    (tmp_path / "scores.csv").unlink()
    with pytest.raises(ColumnError):
        read(tmp_path)
