"""Twelve books of typical make: what is read is what a narrator reads, by a list made by hand."""

import io
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import pytest

from proxy.features.books.reading.book import Book, ReadRules
from proxy.features.books.reading.epub import read_cover, read_epub
from proxy.features.books.reading.plain import read_markdown
from tests.features.books.epubs import PNG, epub, nav, ncx, xhtml
from tests.tables import each_row

Said = list[tuple[str, list[str]]]


class Case(NamedTuple):
    book: bytes
    says: Said
    leaves_out: AbstractSet[str] = frozenset()
    rules: ReadRules = ReadRules()


def said(book: Book) -> Said:
    """Return each chapter's title and sections. A section after a scene break begins with `* `."""
    return [
        (each.title, [("* " if part.gap == "scene" else "") + part.text for part in each.sections])
        for each in book.chapters
    ]


PUBLISHER = epub(
    {
        "cover.xhtml": xhtml('<img src="c.png" alt="Cover"/>', 'epub:type="cover"'),
        "title.xhtml": xhtml('<section epub:type="titlepage"><h1>The Book</h1></section>'),
        "imprint.xhtml": xhtml("<p>© 2024. All rights reserved.</p>", 'epub:type="copyright-page"'),
        "dedication.xhtml": xhtml("<p>For Ben.</p>", 'epub:type="dedication"'),
        "one.xhtml": xhtml(
            '<h1>One</h1><p><span class="drop">T</span>he be\u00adgin\u00adning.<a epub:type="noteref" '
            'href="#n1">1</a></p><p>It <em>goes</em> on.</p><p>* * *</p>'
            '<p><span epub:type="pagebreak" id="p9">9</span>Later.</p>'
            '<aside epub:type="footnote" id="n1"><p>A note.</p></aside>'
        ),
        "two.xhtml": xhtml("<h1>Two</h1><p>Half.</p>"),
        "two-b.xhtml": xhtml("<p>The other half.</p>"),
        "index.xhtml": xhtml("<p>Ana, 9</p>", 'epub:type="index"'),
        "nav.xhtml": xhtml(nav("|Part One", "one.xhtml|One", "two.xhtml|Two")),
    },
    items='<item id="c" href="c.png" media-type="image/png" properties="cover-image"/>',
)
GUTENBERG = epub(
    {
        "book.xhtml": xhtml(
            "<h1>THE BOOK</h1><p>By Ana</p>"
            '<p><a href="#c1">I</a> <a href="#c2">II</a> <a href="#pg5">5</a></p>'
            '<div class="chapter"><h2><a id="c1"></a>CHAPTER I.<br/>A Start</h2>'
            '<p>It began.<a id="r1"></a><sup><a href="#f1">[1]</a></sup></p>'
            '<p><span class="pagenum"><a id="pg5">5</a></span>It went on.</p></div><hr/>'
            '<div class="chapter"><h2><a id="c2"></a>CHAPTER II.</h2><p>It ended.</p>'
            '<p><a id="f1"></a><a href="#r1">[1]</a> A note of the author.</p></div>'
        ),
        "toc.ncx": ncx("book.xhtml|The Book", "book.xhtml#c1|I. A Start", "book.xhtml#c2|II"),
    }
)
ENDNOTES = epub(
    {
        "one.xhtml": xhtml(
            '<h2>One</h2><p>A claim.<sup><a id="r1" href="notes.xhtml#e1">1</a></sup> More.</p><p>After.</p>'
        ),
        "notes.xhtml": xhtml(
            '<h2>Notes</h2><ol><li id="e1">The proof. <a href="one.xhtml#r1">↩</a></li></ol>',
            'epub:type="endnotes"',
        ),
        "nav.xhtml": xhtml(nav("one.xhtml|One", "notes.xhtml|Notes")),
    }
)
_PAR = '<p class="calibre3">'
CALIBRE = epub(
    {
        "titlepage.xhtml": xhtml('<div><svg><image href="c.jpeg"/></svg></div>'),
        "split_000.xhtml": xhtml(
            '<div class="calibre1" id="calibre_pb_0"></div><h2 class="calibre2"><span class="b">1</span></h2>'
            f'{_PAR}<span class="calibre4">“It</span> <i class="calibre5">rains</i>,” she said.</p>'
            f'{_PAR}&nbsp;</p>{_PAR}Nobody answered.</p><div class="calibre6"> </div>',
            'class="calibre"',
        ),
        "split_001.xhtml": xhtml(
            f'{_PAR}She waited<a class="calibre7" id="b1" href="split_002.xhtml#n1">'
            '<sup class="calibre8">[1]</sup></a> for an answer.</p>'
        ),
        "split_002.xhtml": xhtml(f'{_PAR}<a id="n1"></a><a href="split_001.xhtml#b1">[1]</a> In vain.</p>'),
        "toc.ncx": ncx("split_000.xhtml|1. Rain"),
    },
    guide='<reference type="cover" href="titlepage.xhtml"/>',
)
WORD = epub(
    {
        "book.xhtml": xhtml(
            '<div class="WordSection1"><h1>The Shed</h1><p class="MsoNormal"><span lang="EN-US">He stood'
            '<a href="#_ftn1" name="_ftnref1"><span class="MsoFootnoteReference">[1]</span></a> there.'
            "<o:p></o:p></span></p><p class='MsoNormal' align='center'>***</p><p class='MsoNormal'><b>She</b>"
            " came.</p></div><div><br clear='all'/><hr align='left' size='1' width='33%'/>"
            '<div id="ftn1"><p class="MsoFootnoteText"><a href="#_ftnref1" name="_ftn1">[1]</a> By a wall.'
            "</p></div></div>"
        )
    }
)
INDESIGN = epub(
    {
        "Cover.xhtml": xhtml('<div id="_idContainer000"><img src="c.png"/></div>', 'epub:type="cover"'),
        "Tales.xhtml": xhtml(
            '<div id="_idContainer001" class="Frame"><p class="Head">The <span class="Char-1">Lake</span>'
            '</p><p class="Body">A l<span class="Char-2">ake</span> lay there.<span id="note-001-backlink">'
            '<a class="_idFootnoteLink" href="Tales.xhtml#footnote-001">1</a></span></p></div>'
            '<div class="_idFootnotes"><div id="footnote-001" class="_idFootnote"><p class="Note">'
            '<a class="_idFootnoteAnchor" href="Tales.xhtml#note-001-backlink">1</a> It was deep.</p>'
            "</div></div>"
        ),
        "toc.xhtml": xhtml('<p><a href="Tales.xhtml">The Lake 3</a></p>', 'epub:type="toc"'),
        "nav.xhtml": xhtml(nav("Tales.xhtml|The Lake")),
    }
)
SIGIL = epub(
    {
        "Section0001.xhtml": xhtml(
            '<h2 id="sigil_toc_id_1">Noon</h2><p>Light.</p><h3 class="sigil_not_in_toc">A list</h3>'
            "<ul><li>One thing.</li><li><p>Another.</p></li></ul><blockquote><p>A quote.</p></blockquote>"
        ),
        "Section0002.xhtml": xhtml('<h2 title="Night">Ni<br/>ght</h2><p>Dark.</p>'),
        "nav.xhtml": xhtml(nav("Section0001.xhtml|Noon", "Section0002.xhtml|Night")),
    }
)
CASES = {
    "a publisher's": Case(
        PUBLISHER,
        [
            ("", ["For Ben."]),
            ("Part One. One", ["One", "The beginning.\n\nIt goes on.", "* Later."]),
            ("Two", ["Two", "Half.\n\nThe other half."]),
        ],
        {"cover", "front", "note", "note_mark", "page_number", "index"},
    ),
    "calibre's": Case(
        CALIBRE,
        [("1. Rain", ["1", "“It rains,” she said.\n\nNobody answered.\n\nShe waited for an answer."])],
        {"cover", "note", "note_mark"},
    ),
    "Word's": Case(
        WORD, [("The Shed", ["The Shed", "He stood there.", "* She came."])], {"note", "note_mark"}
    ),
    "InDesign's": Case(
        INDESIGN,
        [("The Lake", ["The Lake", "The Lake\n\nA lake lay there."])],
        {"cover", "contents", "note", "note_mark"},
    ),
    "Sigil's": Case(
        SIGIL,
        [
            ("Noon", ["Noon", "Light.", "A list", "One thing.\n\nAnother.\n\nA quote."]),
            ("Night", ["Ni. ght", "Dark."]),
        ],
    ),
    "with title pages": Case(
        PUBLISHER,
        [
            ("The Book", ["The Book", "© 2024. All rights reserved.\n\nFor Ben."]),
            ("Part One. One", ["One", "The beginning.\n\nA note.\n\nIt goes on.", "* Later."]),
            ("Two", ["Two", "Half.\n\nThe other half."]),
        ],
        {"picture", "note", "note_mark", "page_number", "index"},
        ReadRules(front=True, notes="after"),
    ),
    "Gutenberg's, one file": Case(
        GUTENBERG,
        [
            ("The Book", ["THE BOOK", "By Ana"]),
            ("I. A Start", ["CHAPTER I. A Start", "It began.\n\nIt went on."]),
            ("II", ["CHAPTER II.", "It ended."]),
        ],
        {"note", "note_mark", "page_number"},
    ),
    "notes in a document": Case(
        ENDNOTES, [("One", ["One", "A claim. More.\n\nAfter."])], {"note", "note_mark"}
    ),
    "notes at the end": Case(
        ENDNOTES,
        [("One", ["One", "A claim. More.\n\nAfter.", "* The proof."])],
        {"note", "note_mark"},
        ReadRules(notes="end"),
    ),
    "EPUB 2 with a guide": Case(
        epub(
            {
                "cover.xhtml": xhtml("<p>The cover</p>"),
                "a.xhtml": xhtml("<p>First.</p>"),
                "b.xhtml!": xhtml("<p>An answer.</p>"),
                "toc.ncx": ncx("a.xhtml|Alpha"),
            },
            guide='<reference type="cover" href="cover.xhtml"/>',
        ),
        [("Alpha", ["Alpha", "First."])],
        {"cover", "not_in_order"},
    ),
    "no contents": Case(
        epub({"a.xhtml": xhtml("<h1>Dawn</h1><p>Light.</p>"), "b.xhtml": xhtml("<p>Dusk.</p>")}),
        [("Dawn", ["Dawn", "Light."]), ("", ["Dusk."])],
    ),
    "tables, captions, links, formulas": Case(
        epub(
            {
                "a.xhtml": xhtml(
                    "<h1>Data</h1><table><tr><th>Name</th><th>Age</th></tr><tr><td><p>Ana</p></td><td>9</td>"
                    '</tr></table><figure><img src="x.png" alt="no"/><figcaption>A map.</figcaption></figure>'
                    '<p>See <a href="https://e.org/">the page</a> or <a href="https://e.org/">https://e.org/'
                    "</a>.</p><p>So <math alttext='x squared'><mi>x</mi></math>, not <math><mi>y</mi></math>."
                    "</p><p hidden='hidden'>Secret.</p><p style='display: none'>Secret.</p>"
                )
            }
        ),
        [
            (
                "Data",
                ["Data", "Name, Age\n\nAna, 9\n\nA map.\n\nSee the page or .\n\nSo x squared , not ."],
            )
        ],
        {"picture", "address", "formula", "hidden"},
    ),
    "without tables and captions": Case(
        epub(
            {
                "a.xhtml": xhtml(
                    "<p>Data.</p><table><tr><td>1</td></tr></table><figure><figcaption>A.</figcaption></figure>"
                )
            }
        ),
        [("", ["Data."])],
        {"table", "caption"},
        ReadRules(tables="skip", captions=False),
    ),
    "ruby": Case(
        epub({"a.xhtml": xhtml("<h1>夜</h1><p><ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字。</p>")}),
        [("夜", ["夜", "漢字。"])],
        {"ruby"},
    ),
    "ruby over letters of another script": Case(
        epub(
            {
                "a.xhtml": xhtml(
                    "<p>To <ruby><rb>東</rb><rb>京</rb><rp>(</rp><rt>Tō</rt><rt>kyō</rt></ruby>, "
                    "to <ruby>大阪<rt>おおさか</rt></ruby>, to <ruby>Nara<rt>ナラ</rt></ruby>.</p>"
                )
            }
        ),
        [("", ["To Tōkyō, to 大阪, to Nara."])],
        {"ruby"},
    ),
    "a title page in the contents": Case(
        epub(
            {
                "t.xhtml": xhtml("<p>The Book</p>", 'epub:type="titlepage"'),
                "a.xhtml": xhtml("<h1>Letter</h1><p>To you.</p>"),
                "b.xhtml": xhtml("<p>It rained.</p>"),
                "nav.xhtml": xhtml(nav("|Part One", "t.xhtml|Title", "b.xhtml|Rain")),
            }
        ),
        [("Letter", ["Letter", "To you."]), ("Part One. Rain", ["Part One. Rain", "It rained."])],
        {"front"},
    ),
    "Arabic, in UTF-16": Case(
        epub(
            {
                "a.xhtml": xhtml("<h1>الفصل</h1><p>مرحبا&nbsp;بكم.</p>")
                .replace("utf-8", "utf-16")
                .encode("utf-16")
            }
        ),
        [("الفصل", ["الفصل", "مرحبا بكم."])],
    ),
    "verse, broken": Case(
        epub({"a.xhtml": xhtml("<h1>Song</h1><p>A line<br>and another<br/>end.</p><p>Caf&eacute; <b>open")}),
        [("Song", ["Song", "A line and another end.\n\nCafé open"])],
    ),
    "levels": Case(
        epub(
            {
                "a.xhtml": xhtml('<h1>A</h1><p>1.</p><h2 id="s">S</h2><p>2.</p>'),
                "nav.xhtml": xhtml(nav("a.xhtml|A", ">a.xhtml#s|S")),
            }
        ),
        [("A", ["A", "1.", "S", "2."])],
        set(),
        ReadRules(depth=1),
    ),
    "a chapter that a mark leads to": Case(
        epub(
            {
                "a.xhtml": xhtml(
                    '<h1>One</h1><p id="one">It is told below.<sup><a href="#two">2</a></sup></p>'
                    '<section id="two"><h2>2. Two</h2><p>It was told above.<a href="#one">[1]</a></p>'
                    "</section>"
                ),
            }
        ),
        [("One", ["One", "It is told below.", "2. Two", "It was told above."])],
        {"note_mark"},
    ),
    "without titles": Case(
        epub(
            {
                "a.xhtml": xhtml('<h1>A</h1><p>1.</p><h2 id="s">S</h2><p>2.</p>'),
                "nav.xhtml": xhtml(nav("a.xhtml|A", ">a.xhtml#s|S")),
            }
        ),
        [("A", ["1."]), ("S", ["2."])],
        {"title"},
        ReadRules(titles=False),
    ),
}


def test_books_are_read_as_a_narrator_would(subtests: pytest.Subtests) -> None:
    for name, case in CASES.items():
        with subtests.test(name):
            book = read_epub(io.BytesIO(case.book), case.rules)
            assert said(book) == case.says
            assert {each.rule for each in book.left_out} == case.leaves_out


RUBIES = "<p><ruby>今</ruby>、<ruby>食<rt>た</rt></ruby>べ、<ruby>飲み物<rt>のみもの</rt></ruby>。</p>"
CHINESE = "<p>今天在の店<ruby>食<rt>た</rt></ruby></p><p>他们在那里吃饭。</p>"


@each_row(
    ("text", "metadata", "asked", "says"),
    [
        (RUBIES, "ja-JP", "", "今、たべ、のみもの。"),
        (RUBIES, "", "", "今、たべ、のみもの。"),
        (RUBIES, "en", "", "今、たべ、のみもの。"),
        (RUBIES, "en", "ja", "今、たべ、のみもの。"),
        (RUBIES, "ja", "zh", "今、食べ、飲み物。"),
        (RUBIES, "ja", "cmn", "今、食べ、飲み物。"),
        (CHINESE, "", "", "今天在の店食\n\n他们在那里吃饭。"),
        (CHINESE, "ja", "ja", "今天在の店た\n\n他们在那里吃饭。"),
        ("<p>The town of <ruby>奈良<rt>なら</rt></ruby></p>", "", "", "The town of 奈良"),
        ("<p>The town of <ruby>奈良<rt>Nara</rt></ruby></p>", "", "", "The town of Nara"),
    ],
)
def test_a_voice_reads_the_ruby_over_letters_that_it_lacks(
    text: str, metadata: str, asked: str, says: str
) -> None:
    file = io.BytesIO(epub({"a.xhtml": xhtml(text)}, language=metadata))
    assert said(read_epub(file, ReadRules(), asked)) == [("", [says])]


def test_a_sample_has_lines_and_the_words_for_a_picture() -> None:
    page = "<div><h1>The\n Book</h1>by <b>Ana</b><br/>Lima<p><img src='a.png' alt='A shed'/></p></div>"
    files = {"t.xhtml": xhtml(page, 'epub:type="titlepage"')}
    files["a.xhtml"] = xhtml("<p>A map:</p><figure><img src='m.png' alt='The lake'/></figure>")
    left = {each.rule: each.sample for each in read_epub(io.BytesIO(epub(files)), ReadRules()).left_out}
    assert left == {"front": "The Book\nby Ana\nLima\nA shed", "picture": "The lake"}
    code = read_markdown(b"One.\n\n```\na = 1\n  b = 2\n```\n", ReadRules()).left_out
    assert [each.sample for each in code] == ["a = 1\nb = 2"]


def test_a_book_says_who_wrote_it_and_has_its_cover() -> None:
    files: dict[str, str | bytes] = {"a.xhtml": xhtml("<p>A.</p>"), "c.png": PNG}
    item = '<item id="c" href="c.png" media-type="image/png" properties="cover-image"/>'
    series = '<meta name="calibre:series" content="Tales"/><meta name="calibre:series_index" content="2"/>'
    made = epub(files, items=item, meta=series)
    about = read_epub(io.BytesIO(made), ReadRules()).about
    assert (about.title, about.authors, about.language) == ("The Book", ("Ana Lima",), "en")
    assert (about.year, about.series, read_cover(io.BytesIO(made))) == ("2024", "Tales 2", PNG)


def test_a_document_that_is_missing_is_named() -> None:
    book = read_epub(io.BytesIO(epub({"a.xhtml": xhtml("<p>A.</p>"), "../gone.xhtml": "x"})), ReadRules())
    assert [(each.rule, each.where) for each in book.left_out] == [("missing", "gone.xhtml")]
