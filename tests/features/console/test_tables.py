"""Tables: a CSV becomes a batch. Faults are told by line before anything is sent; the outcomes come back."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as some

from tests.features.console.console_page import ALL_LOOKS, LOOKS, Reader
from tests.replies import json_of

pytestmark = pytest.mark.slow_but("test_a_table_becomes_sounds_and_comes_back_with_its_outcomes")

_HEAD = "id,text,voice,language\n"
_FAULTS: tuple[tuple[bytes, str], ...] = (
    (b"", "Line 1: this line must name the columns"),
    (b"id,voice\na,b\n", "Line 1: this line must name the columns"),
    (b"text,Text\na,b\n", "Line 1: this line must name the columns"),
    (b"text\n\n \n", "Line 1: there are no lines below it"),
    (b'text\nHi.\n"It never ends\nand goes on\n', "Line 3: a quote opens here and never ends"),
    (b'text\n"Hi."x\n', "Line 2: something stands behind a closing quote"),
    (b"text\nHi.\n\xff\xfe\n", "Line 3: this is no text in UTF-8"),
    ("text\nHi.\n".encode("utf-16"), "Line 1: this is no text in UTF-8"),
    (f"text\nHi.\n{'x' * 1_000_000}\n".encode(), "Line 3: its text has more than 4,096 characters"),
    (b"text\n" + b"Hi.\n" * 20_001, "Line 20,002: a table has at most 20,000 lines"),
    (f"text\n{'x' * 11_000_000}".encode(), "The table is too large"),
    (b"text\nHi, there.\n", "Line 2: it has more than 1 cells"),
    (f"{_HEAD}a,Hi.,,\n\nb,,,\na,Hey.,,\n".encode(), "Line 5: its id “a” is that of line 2, too"),
    (f"{_HEAD}a,,,\n".encode(), "Line 2: its text is empty"),
    (f"{_HEAD}{'a' * 257},Hi.,,\n".encode(), "Line 2: its id has more than 256"),
    (f"{_HEAD}a,Hi.,<b>nobody,\n".encode(), "Line 2: there is no voice “<b>nobody”"),
    (f"{_HEAD}a,Hi.,,English\n".encode(), "Line 2: nothing here speaks “English”"),
)


def _choose(reader: Reader, folder: Path, content: bytes, name: str = "lines.csv") -> None:
    (folder / name).write_bytes(content)
    reader.file("#table-file", folder / name)


@pytest.mark.kit("axe")
def test_a_table_becomes_sounds_and_comes_back_with_its_outcomes(reader: Reader, tmp_path: Path) -> None:
    reader.open("tables")
    reader.wait("at('#tables-none')")
    reader.reads("What is said. Only this column is needed.", "#tables-columns")
    example = reader.tab.downloaded(tmp_path, "button('Save an example').click()").decode("utf-8-sig")
    assert example.splitlines() == ["id,text,voice,language", 'hello,"Good morning, everybody.",,en']
    reader.assert_readable(ALL_LOOKS[:1])
    lines = (
        '\ufeffid;text;voice;language;notes\r\nhello;"He said ""hi""; and\r\nleft.";;en;x\r\n'
        "sum;=1+1;TONE/tone;;\r\n;Three.;;;\r\nlong;[happy] <b>Four</b>;;pt-BR;\r\n"
    )
    _choose(reader, tmp_path, lines.encode())
    reader.reads("4 lines", "#table-facts")
    reader.reads("free", "#table-facts")
    reader.reads("Columns that are not used: notes")
    assert reader.tab.run("at('#table-lines b')") is None
    reader.assert_readable(ALL_LOOKS[1:3])
    reader.press("Speak all lines")
    reader.reads("It is sent.")
    reader.wait("document.activeElement.id === 'tables-title'")
    outcome = "button('Results as CSV: lines')"
    reader.wait(outcome)
    reader.assert_readable(LOOKS)
    table = reader.tab.downloaded(tmp_path, f"{outcome}.click()").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [(row["id"], row["text"], row["outcome"]) for row in rows] == [
        ("hello", 'He said "hi"; and\r\nleft.', "spoken"),
        ("sum", "'=1+1", "spoken"),
        ("line-5", "Three.", "spoken"),
        ("long", "[happy] <b>Four</b>", "spoken"),
    ]
    sounds = zipfile.ZipFile(
        io.BytesIO(reader.tab.downloaded(tmp_path, "button('Sounds as ZIP: lines').click()"))
    )
    assert sounds.namelist() == [row["file"] for row in rows]
    # The table that came back can be handed in again: what it says of outcomes is not used.
    _choose(reader, tmp_path, table.encode("utf-8-sig"), "again.csv")
    reader.reads("4 lines", "#table-facts")
    assert reader.tab.run("at('#table-lines').rows[2].cells[1].innerText") == "=1+1"


def test_faults_are_told_by_line_before_anything_is_sent(reader: Reader, tmp_path: Path) -> None:
    reader.open("tables")
    reader.wait("at('#table-file')")
    for content, fault in _FAULTS:
        _choose(reader, tmp_path, content)
        reader.reads(fault)
        assert reader.tab.run("at('#table-go')") is None, fault
    many = "".join(f"{number},,nobody,English\n" for number in range(1000))
    _choose(reader, tmp_path, f"{_HEAD}{many}".encode(), "\u202efpj.gnp.csv")
    reader.reads("fix 3,000 mistakes")
    reader.reads("and 2,980 more")
    reader.assert_readable(LOOKS)
    assert not any("/v1/files" in url for url in reader.tab.requests)
    with reader.server.client(reader.key.secret) as client:
        assert json_of(client.get("/v1/files"))["data"] == []
    # The next file replaces what was told.
    _choose(reader, tmp_path, f"{_HEAD}{'Hi.,' * 3}\n".encode())
    reader.reads("there is no voice", "#table-faults")
    _choose(reader, tmp_path, f"{_HEAD},Hi.,,\n".encode())
    reader.wait("at('#table-go') && !at('#table-faults')")


def test_twenty_thousand_lines_are_read_and_sent(reader: Reader, tmp_path: Path) -> None:
    reader.open("tables")
    reader.wait("at('#table-file')")
    _choose(reader, tmp_path, b"text\n" + b"Hi.\n" * 20_000)
    reader.reads("20,000 lines, 60,000 characters", "#table-facts")
    reader.press("Speak all lines")
    reader.reads("of 20,000 spoken", "#tables-list")
    with reader.server.client(reader.key.secret) as client:
        [batch] = json_of(client.get("/v1/batches"))["data"]
        client.post(f"/v1/batches/{batch['id']}/cancel")
    reader.reads("Cancelled", "#tables-list")


def test_the_price_is_told_and_what_lacks(reader: Reader, tmp_path: Path) -> None:
    reader = reader.of_plan("sold")
    reader.open("tables")
    reader.wait("at('#table-file')")
    _choose(reader, tmp_path, f"{_HEAD},0123456789,,\n,0123456789,tone/tone,\n".encode())
    reader.reads("up to 20 credits", "#table-facts")
    assert reader.tab.run("at('#table-note')") is None
    _choose(reader, tmp_path, _HEAD.encode() + b",0123456789,,\n" * 10)
    reader.reads("You have 60 credits.", "#table-note")
    reader.assert_readable(LOOKS[:1])


def test_a_line_that_fails_is_in_the_table_with_its_reason(reader: Reader, tmp_path: Path) -> None:
    reader.open("tables")
    reader.wait("at('#table-file')")
    _choose(reader, tmp_path, f"{_HEAD}good,Hi.,,\nbad,Hi.,tone/refuse,\n".encode())
    reader.press("Speak all lines")
    reader.reads("Failed in part", "#tables-list")
    table = reader.tab.downloaded(tmp_path, "button('Results as CSV: lines').click()")
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    assert [(row["id"], row["outcome"], bool(row["error"])) for row in rows] == [
        ("good", "spoken", False),
        ("bad", "failed", True),
    ]


def test_credits_below_ten_have_three_digits(reader: Reader) -> None:
    reader.open("tables")
    module = "at('script[src]').src.replace('head.js', 'core/texts.js')"
    shown = reader.tab.run(
        f"import({module}).then(({{ number, t, wholeFromTen }}) =>"
        " [0, 0.002, 9.123456, 12.3456].map((n) => number(n))"
        ".concat([0.5, 1, 0.0021341, 9.123456, 10.2].map((n) => wholeFromTen(n, Math.ceil))"
        ".map((n) => t('speak.credits', { n })))"
        ".concat([0, 0.002, 9.129, 10.9].map((n) => t('frame.credits', { n: wholeFromTen(n, Math.floor) }))))"
    )
    most = [f"up to {each}" for each in ("0.5 credits", "1 credit", "0.00214 credits", "9.13 credits")]
    left = ["0 credits", "0.002 credits", "9.12 credits", "10 credits"]
    assert shown == ["0", "0.002", "9.12", "12.35", *most, "up to 11 credits", *left]


def test_any_table_is_read_as_python_reads_it(reader: Reader) -> None:
    reader.open("tables")
    module = "at('script[src]').src.replace('head.js', 'core/csv.js')"
    reader.tab.run(f"import({module}).then((it) => {{ window.csv = it; }})")
    cells = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"), max_size=8)
    tables = some.lists(some.lists(cells, min_size=2, max_size=4), min_size=1, max_size=4)
    written = some.tuples(tables, some.sampled_from(",;\t"), some.sampled_from(["\n", "\r\n", "\r"]))

    # Several at a time: each question to the browser takes a while.
    @settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(some.lists(written, min_size=20, max_size=40))
    def holds(examples: list[tuple[list[list[str]], str, str]]) -> None:
        texts, wanted = [], []
        for rows, sign, end in examples:
            # The first line tells which sign is between cells.
            whole = [["one", "two", "three"], *rows]
            text = io.StringIO(newline="")
            csv.writer(text, delimiter=sign, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(whole)
            texts.append(text.getvalue())
            wanted.append([[_plain(cell) for cell in row] for row in whole if any(map(_has_text, row))])
        cells_of = "(text) => csv.rowsOf(text).map(({ cells }) => cells)"
        assert reader.tab.run(f"{json.dumps(texts)}.map({cells_of})") == wanted
        again = f"async (rows) => ({cells_of})(await csv.fileOf(rows).text())"
        assert reader.tab.run(f"Promise.all({json.dumps(wanted)}.map({again}))") == wanted

    holds()


def _plain(cell: str) -> str:
    """A cell without the apostrophe that keeps a formula a text."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _has_text(cell: str) -> bool:
    # What JavaScript takes for blanks: Python also has the separators of ASCII and U+0085.
    return any(not sign.isspace() or sign in "\x1c\x1d\x1e\x1f\x85" for sign in cell.replace("\ufeff", " "))
