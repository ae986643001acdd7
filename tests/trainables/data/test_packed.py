"""Tables as they are packed: compressed, in sheets, with a title above, blanks around names."""

from __future__ import annotations

import bz2
import datetime
import gzip

import openpyxl
import pyarrow as pa
import pytest

from trainables.data import limits, sources
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.files import Files
from trainables.data.formats import suffix_of
from trainables.data.limits import Limits
from trainables.data.reading import Wanted
from trainables.errors import DataError

ROWS = 40
CSV = "a,town,y\n" + "".join(f"{i % 7}.5,{'Bonn' if i % 3 else 'Kiel'},{i % 2}\n" for i in range(ROWS))


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zstd), (".bz2", bz2.compress)])
def test_d2_a_compressed_table_is_the_table(tmp_path, ending, pack):
    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / f"t.csv{ending}").write_bytes(pack(CSV.encode()))
    plain, packed = (read(DataConfig(source=str(tmp_path / f"t.csv{it}"), target="y")) for it in ("", ending))
    assert packed.dataset.fingerprint == plain.dataset.fingerprint
    (tmp_path / f"t.csv{ending}").write_bytes(pack(CSV.encode())[:-9] + b"broken bits")
    with pytest.raises(DataError, match="compress it again"):
        read(DataConfig(source=str(tmp_path / f"t.csv{ending}"), target="y"))


def test_e1_a_small_file_that_unpacks_to_a_large_one_is_refused_on_the_way(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,y\n" + b"1,2\n" * 8_000_000))
    with limits.limited(Limits(10**9, 10, unpacked_mb=5)), pytest.raises(DataError, match="at most 5 MB"):
        sources.read(str(tmp_path / "t.csv.gz"), Wanted(target="y"), "data.source")


def test_names_of_compressed_files_are_known_by_both_endings():
    assert [suffix_of(name) for name in ("a.CSV.gz", "a.b.parquet", "a.tar.gz", "csv.gz", "noname")] == [
        ".csv.gz", ".parquet", ".gz", ".gz", "",
    ]  # fmt: skip


def xlsx(file, sheets):
    """A workbook of rows by the name of a sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(file)


DAY = datetime.date(2024, 2, 24)
SHEET = [
    ["n", "price", "town", "when", "mixed", "y"],
    *([i, i + 0.5, "Bonn" if i % 3 else None, DAY, i if i % 2 else "x", i % 2] for i in range(ROWS)),
]


def test_d2_a_sheet_of_excel_is_a_table_with_types(tmp_path):
    xlsx(tmp_path / "t.xlsx", {"first": SHEET})
    table = sources.read(str(tmp_path / "t.xlsx"), Wanted(target="y"), "data.source").table
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "string", "date32[day]", "string", "int64"]
    assert table.slice(1, 1).to_pylist() == [{"n": 1, "price": 1.5, "town": "Bonn", "when": DAY, "mixed": "1", "y": 1}]
    assert table["town"].null_count == len(range(0, ROWS, 3))


def test_d2_of_several_sheets_the_first_is_read_and_another_can_be_named(tmp_path):
    titled = [["Sales of 2024"], *SHEET]
    xlsx(tmp_path / "t.xlsx", {"first": SHEET, "other": titled})
    source = str(tmp_path / "t.xlsx")
    assert "sheet first of 2" in " ".join(read(DataConfig(source=source, target="y")).notes)
    config = DataConfig(source=source, target="y", csv={"sheet": "other", "skip_rows": 1})
    assert Files.read(config, None).whole.equals(Files.read(DataConfig(source=source, target="y"), None).whole)
    with pytest.raises(DataError, match="one of: first, other"):
        read(DataConfig(source=source, target="y", csv={"sheet": "third"}))


def test_d2_lines_above_the_names_are_refused_with_how_many_to_skip_and_that_helps(tmp_path):
    (tmp_path / "t.csv").write_text("Report of 2024\n\nby the office\n" + CSV)
    (tmp_path / "clean.csv").write_text(CSV)
    with pytest.raises(DataError, match=r"data.csv.skip_rows: 3"):
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y", csv={"skip_rows": 3}))
    assert (
        loaded.dataset.fingerprint
        == read(DataConfig(source=str(tmp_path / "clean.csv"), target="y")).dataset.fingerprint
    )
    # Rows to predict come with the lines or without.
    reading = loaded.preparation.schema.reading
    with_lines, without = (sources.read_rows(str(tmp_path / f"{it}.csv"), "rows", reading) for it in ("t", "clean"))
    assert with_lines.equals(without)
    assert with_lines.num_rows == ROWS


def test_d2_blanks_around_names_are_no_part_of_them(tmp_path):
    (tmp_path / "t.csv").write_text(CSV.replace("a,town,y", "a , town, y"))
    assert read(DataConfig(source=str(tmp_path / "t.csv"), target="y", columns={"town": "categorical"}))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.txt"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda raw: pa.compress(raw, "zstd", asbytes=True)])
def test_e1_a_compressed_file_is_one_whatever_its_name_says(tmp_path, name, pack):
    """It was called text of an unknown encoding."""
    rows = range(60)
    text = "".join(f'{{"x": {n}, "y": {n % 7}}}\n' for n in rows) if name == "t.jsonl" else "x\ty\n" + "".join(
        f"{n}\t{n % 7}\n" for n in rows
    )  # fmt: skip
    (tmp_path / name).write_bytes(pack(text.encode()))
    assert sources.read_rows(str(tmp_path / name), "FILE").to_pydict() == {"x": [*rows], "y": [n % 7 for n in rows]}
    # Once: there are files that unpack to themselves.
    (tmp_path / name).write_bytes(pack(pack(text.encode())))
    with pytest.raises(DataError):
        sources.read_rows(str(tmp_path / name), "FILE")


@pytest.mark.parametrize(
    "notes",
    [
        [["This workbook holds what was measured in 2024."], ["See the second sheet."]],
        [["Author", "me"], ["Date", "2024-01-05"]],
        [["Report"], [], ["Made by", "us", "in May"]],
        [],
    ],
)
def test_e1_a_sheet_of_notes_before_the_table_is_told_the_key_that_names_the_other(tmp_path, notes):
    """It was asked for one of its own columns, or for lines to be skipped."""
    rows = [["a", "b", "y"], *([n % 5 + 0.5, n % 3, n % 2] for n in range(ROWS))]
    source, single = str(tmp_path / "t.xlsx"), str(tmp_path / "single.xlsx")
    xlsx(source, {"Notes": notes, "Lists": [["p", "q"]], "all data": rows})
    xlsx(single, {"x": rows})
    with pytest.raises(DataError, match="name the sheet: data.csv.sheet: all data"):
        read(DataConfig(source=source, target="y"))
    table = read(DataConfig(source=source, target="y", csv={"sheet": "all data"}))
    assert table.dataset.n_inputs == 2
    # Of rows to predict there is no key.
    schema = read(DataConfig(source=single, target="y")).preparation.schema
    with pytest.raises(DataError, match="let all data be the first sheet"):
        sources.read_rows(source, "FILE", schema.reading, schema.names())
