"""The marks of Markdown in a text that can mean nothing else. The time grows linearly with the text.

They are paired `**`, `__` and backticks; `*` and `_` close around words and sentences; `# `, `- `, `* ` and
`> ` that begin a line; and links with a text. Signs that may have a meaning stay: `2 * 3`, `5*3`, `2**3`,
`(a)**2`, `C#`, `-5`, `- 5`, `snake_case`, `obj.__init__()`, `f[0](x.y)`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# A digit, or a letter that is part of a longer word where a letter stands beside it. Other letters may stand
# before a mark: there are no blanks between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese), or small
# words are written with the next or the last one (Hebrew, Arabic, Korean).
_WORD = re.compile(
    r"\d|[^\W_\u0590-\u08ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0002fa1f]"
)
_FENCE = re.compile(r"^([ \t>]*+)(`{3,}+)([^`\n]*+)$", re.MULTILINE)
CODE_BLANK = "\x1d"
"""Stands for each character of code that is left out before a text is cut. It counts as a blank."""
_BLOCK_BEGINS = re.compile(r"\n(?=[ \t]*(?:\n|(?:#{1,6}|[-*+]|\d{1,9}[.)])[ \t]|>|```))")
_BACKTICKS = re.compile("`+")
_PAIRED = re.compile(r"\*+|_+")
# Behind a word: `a**2`, `b**-1`.
_POWER = re.compile(r"[-+(]?\d")
# Behind a sign: `(a)**b`, `(a)**(b)`, `5%**-c`.
_OPERAND = re.compile(rf"(?:{_WORD.pattern})|[-+.(\[{{]")
_LINE_MARK = re.compile(r"^[ \t]*+(?:>[ \t]*+)*+((?:#{1,6}|[-*])[ \t]+)(?=\S)", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^[ \t]*+((?:>[ \t]*+)++)(?:(?<=[ \t])(?=\S)|(?=[^\W\d_]))", re.MULTILINE)
# After a `- `: "- 5 °C" and "- US$ 50" may be less than nothing.
_AMOUNT = re.compile(r"(?:[A-Z]{0,3}[$\u00a2-\u00a5\u0e3f\u20a0-\u20cf] ?)?[.,]?\d")
# The address has no brackets, so that no search begins twice at one place. The quantifiers are possessive, so
# that no search tries each of many blanks again.
_LINK = re.compile(
    r"!?\[([^\[\]\n]*)\]\([ \t]*+<?((?:[^\s()<>\[\]]|\([^\s()<>\[\]]*\))*+)>?"
    r"(?:[ \t]++(?:\"[^\"\n\[]*\"|'[^'\n\[]*'))?+[ \t]*+\)"
)
# The forms that are no remark in brackets: `[they](she/her)`, `[3 stars](4.5/5)`, `[note](v1.2)`.
_ADDRESS = re.compile(
    r"\A(?:[a-z][a-z0-9+.-]*://|mailto:|www\.|\.{0,2}/(?!\d+\Z)|#(?!\d+\Z))."
    r"|\.[^\W\d_]{2,}\d?(?:[/?#:]|\Z)",
    re.IGNORECASE,
)
# The signs that may stand between a single mark and the first or the last word that it marks.
_BEGINS, _ENDS = "¿¡\"'“‘„«「『(（", ".!?…,:;\"'”’»」』)）。！？、"

_Span = tuple[int, int]


def unmarked_places(text: str, *, reads_code: bool) -> list[int]:
    """Return the places of the characters that are no marks, and no block of code unless it is read."""
    marks = _Marks(text)
    marks.find_fences(reads_code=reads_code)
    for start, end in _blocks(text):
        marks.find_code(start, end)
        marks.find_pairs(start, end)
    marks.find_line_marks()
    marks.find_links()
    return [place for place, is_gone in enumerate(marks.gone) if not is_gone]


def code_blocks(text: str) -> Iterator[tuple[re.Match[str], re.Match[str] | None]]:
    """Yield the first and the last line of each block of code. One without an end has no last line: it is no
    block, unless more text comes. In a quote, a block ends with the quote."""
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        depth = line[1].count(">") - (opened[1].count(">") if opened else 0)
        if opened is None or depth < 0:
            opened = line
        elif not depth and line[2].startswith(opened[2]) and not line[3].strip():
            yield opened, line
            opened = None
    if opened is not None:
        yield opened, None


def without_code(text: str) -> str:
    """Return a text with CODE_BLANK in place of its blocks of code, so that places stay."""
    parts, at = list[str](), 0
    for first, last in code_blocks(text):
        if last is not None:
            parts += text[at : first.start()], CODE_BLANK * (last.end() - first.start())
            at = last.end()
    return "".join((*parts, text[at:]))


class _Marks:
    """The marks found so far in one text. In `gone`, a mark's characters are 1. In `verbatim`, those of code
    are 1: its signs are no marks."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.gone = bytearray(len(text))
        self.verbatim = bytearray(len(text))

    def leave_out(self, start: int, end: int) -> None:
        self.gone[start:end] = b"\1" * (end - start)

    def find_fences(self, *, reads_code: bool) -> None:
        """Leave out blocks of code, or only the lines around them."""
        for first, last in code_blocks(self.text):
            if last is not None:
                # In a quote, the `>` of each line that is read is a mark.
                if not reads_code or ">" not in first[1]:
                    self._set_verbatim(first.start(), last.end())
                self.leave_out(first.start(), first.end() if reads_code else last.start())
                self.leave_out(*last.span())

    def find_code(self, start: int, end: int) -> None:
        """Leave out backticks around code: as many behind it as before it."""
        runs = [run.span() for run in self._signs(_BACKTICKS, start, end)]
        following: dict[int, int] = {}
        partners: list[int | None] = []
        for number in range(len(runs) - 1, -1, -1):
            length = runs[number][1] - runs[number][0]
            partners.append(following.get(length))
            following[length] = number
        partners.reverse()
        at = 0
        while at < len(runs):
            partner = partners[at]
            if (
                partner is not None
                and not self._is_apostrophe(*runs[at])
                and not self.text[runs[at][1] : runs[partner][0]].isspace()
            ):
                self._set_verbatim(runs[at][0], runs[partner][1])
                self.leave_out(*runs[at])
                self.leave_out(*runs[partner])
                at = partner
            at += 1

    def find_pairs(self, start: int, end: int) -> None:
        """Leave out one to three `*` or `_` before words, with as many behind them."""
        opened: dict[str, _Span] = {}
        for run in self._signs(_PAIRED, start, end):
            if len(run[0]) > 3:
                continue
            before = self.text[run.start() - 1] if run.start() > start else " "
            after = self.text[run.end()] if run.end() < end else " "
            is_name = run[0][0] == "_" and self._is_in_name(run, before, after)
            if is_name or before == after == "/":
                continue  # a name of a program, or a pattern in a path such as `a/**/b`
            is_glob = run[0] in opened and before in ".?" and self._is_glob(opened[run[0]], run)
            if run[0] in opened and not is_glob and self._may_close(run, before, after):
                self.leave_out(*opened.pop(run[0]))
                self.leave_out(*run.span())
            elif self._may_open(run, before, after):
                opened[run[0]] = run.span()

    def find_line_marks(self) -> None:
        """Leave out the marks of titles, lists and quotes. A `- ` before a number is a mark only beside other
        bullets, and a `> ` only in a text with others."""
        quotes = [each for each in _QUOTE_MARK.finditer(self.text) if not self.verbatim[each.start(1)]]
        for quote in quotes:
            if len(quotes) > 1 or not _AMOUNT.match(self.text, quote.end()):
                self.leave_out(*quote.span(1))
        found = [each for each in _LINE_MARK.finditer(self.text) if not self.verbatim[each.start(1)]]
        is_beside = False
        for number, mark in enumerate(found):
            was_beside = is_beside
            is_beside = number + 1 < len(found) and self._is_one_list(mark, found[number + 1])
            may_be_minus = mark[1][0] == "-" and _AMOUNT.match(self.text, mark.end())
            if not may_be_minus or was_beside or is_beside:
                self.leave_out(*mark.span(1))

    def find_links(self) -> None:
        """Leave out the address of a link. If the link has no text, its host is read."""
        for link in _LINK.finditer(self.text):
            before = self.text[max(0, link.start() - 1) : link.start()]
            if self.verbatim[link.start()] or before == "]" or _WORD.match(before):
                # `f[0](x.y)` calls something.
                continue
            if not _ADDRESS.search(link[2]):
                continue
            read = range(*link.span(1))
            if not any(map(str.isalnum, link[1])):
                bare = _BARE_LINK.search(self.text, *link.span(2))
                read = range(0) if bare is None else range(*bare.span("host"))
            if read:
                self.leave_out(link.start(), read.start)
                self.leave_out(read.stop, link.end())

    def _may_open(self, run: re.Match[str], before: str, after: str) -> bool:
        if len(run[0]) == 1:
            return _may_be_italic(run[0], after, before, _BEGINS)
        is_raised = before in ")]}%" and _OPERAND.match(self.text, run.end()) is not None
        return not after.isspace() and not _WORD.match(before) and not is_raised

    def _may_close(self, run: re.Match[str], before: str, after: str) -> bool:
        """Tell whether signs may end a pair: a sign that may mean a power does not."""
        if len(run[0]) == 1:
            return _may_be_italic(run[0], before, after, _ENDS)
        if before.isspace():
            return False
        if _WORD.match(before):
            return not _POWER.match(self.text, run.end())
        if unicodedata.category(before)[0] not in "PS":
            return True
        return not (_WORD.match(after) or (before in ")]}%" and _OPERAND.match(self.text, run.end())))

    def _is_glob(self, opened: _Span, run: re.Match[str]) -> bool:
        """Tell whether single signs may be a pattern of names, as in `*temp.*`. `*Sighs.*` is a sentence."""
        name = self.text[opened[1] : run.start()]
        return run[0] == "*" and name[:1].islower() and name.isascii() and not re.search(r"\s", name)

    def _is_apostrophe(self, start: int, end: int) -> bool:
        """Tell whether a backtick stands for an apostrophe, or for minutes: "don`t", "5`"."""
        return end - start == 1 and _WORD.match(self.text[start - 1 : start]) is not None

    def _is_one_list(self, mark: re.Match[str], following: re.Match[str]) -> bool:
        """Tell whether two marks belong to bullets of which one is behind the other."""
        lines = self.text[mark.end() : following.start()].split("\n")[1:-1]
        are_bullets = mark[1][0] in "-*" and following[1][0] in "-*"
        # An indented line belongs to the first.
        return are_bullets and all(line[:1] in " \t\r" for line in lines)

    def _is_in_name(self, run: re.Match[str], before: str, after: str) -> bool:
        """Tell whether underscores belong to a name of a program, as in `a__b` or `obj.__init__()`."""
        follows = self.text[run.end() + 1 : run.end() + 2]
        is_between = _WORD.match(before) is not None and _WORD.match(after) is not None
        is_called = not before.isspace() and (after == "(" or (after == "." and follows.isalnum()))
        return is_between or is_called or (before == "." and after.isalpha())

    def _signs(self, pattern: re.Pattern[str], start: int, end: int) -> Iterator[re.Match[str]]:
        return (run for run in pattern.finditer(self.text, start, end) if not self.verbatim[run.start()])

    def _set_verbatim(self, start: int, end: int) -> None:
        self.verbatim[start:end] = b"\1" * (end - start)


def _may_be_italic(sign: str, inner: str, outer: str, signs: str) -> bool:
    """Tell whether a single sign may belong to a pair: it touches a letter inside, and no word outside. It
    may touch one of `signs` inside, if no sign outside makes a pattern of it."""
    is_word = outer.isalnum() if sign == "_" else _WORD.match(outer) is not None
    if inner in signs:
        return not is_word and (unicodedata.category(outer)[0] not in "PS" or outer in _BEGINS + _ENDS)
    return unicodedata.category(inner)[0] in "LM" and not is_word


def _blocks(text: str) -> Iterator[_Span]:
    """Yield the paragraphs, list items and titles: no pair reaches over the end of one."""
    start = 0
    for end in _BLOCK_BEGINS.finditer(text):
        yield start, end.start()
        start = end.start()
    yield start, len(text)


_NOT_BEFORE_LINK = r"A-Za-z0-9\u00c0-\u024f\u0370-\u058f"
# Letters of scripts with blanks: in the others, a link may be followed by a word without one. Arabic and
# Indic ones without their marks of a sentence's end.
_LETTERS = (
    r"A-Za-z0-9\u00c0-\u024f\u0370-\u060b\u060d-\u061a\u061c-\u061e\u0620-\u06d3\u06d5-\u0963\u0966-\u0dff"
    r"\u10a0-\u10ff\u1e00-\u1fff"
)
# A host is read, so it may take any letter and vowel sign.
_OF_HOST = r"[\w\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff-]"
_BARE_LINK = re.compile(
    rf"(?<![{_NOT_BEFORE_LINK}])(?:https?://(?:[{_LETTERS}._~%!$&+=:-]*@)?|(?=www\.))"
    rf"(?P<host>(?:{_OF_HOST}+\.)*{_OF_HOST}+)(?::\d{{1,5}})?"
    # The next link may be in the same word.
    rf"(?P<rest>(?:[/?#](?:(?![,;|](?:https?://|www\.))[{_LETTERS}/?#._~%!$&'()+,;=:@|-])*)?)",
    re.IGNORECASE,
)
_SUFFIX = re.compile("'[a-z]{1,2}$")
_SENTENCE_SIGNS = ".,;:!?'_|"
"""Signs that belong to the sentence if they end a link."""


def unread_link_places(text: str) -> Iterator[int]:
    """Yield the places that belong to a bare link, but not to its host. They are not read."""
    if "://" not in text and "www." not in text.lower():
        return
    for link in _BARE_LINK.finditer(text):
        start, end = (
            link.start(),
            link.end("host") + len(_without_sentence_signs(text[link.end("host") : link.end()])),
        )
        if text[max(0, start - 1) : start] == "<" and text[end : end + 1] == ">":
            start, end = start - 1, end + 1
        yield from range(start, link.start("host"))
        yield from range(link.end("host"), end)


def _without_sentence_signs(rest: str) -> str:
    """Return the end of a link without the sentence's signs: "(see https://a.org/b_(c))." has one of its
    brackets.

    No link ends in an apostrophe and a letter or two: "https://a.org/b's page".
    """
    closed = rest.count(")") - rest.count("(")
    end = len(rest)
    while end and (rest[end - 1] in _SENTENCE_SIGNS or (rest[end - 1] == ")" and closed > 0)):
        closed -= rest[end - 1] == ")"
        end -= 1
    return _SUFFIX.sub("", rest[:end])
