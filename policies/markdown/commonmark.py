"""A text in Markdown without the marks of CommonMark.

markdown-it-py parses the text, but its tokens have no places. One walk along the source finds each character
of the tokens again, by their order and their signs. If the walk fails in a block, that block is read as it is
written. The numbers of a list are read too, because a page shows them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, image, link
from markdown_it.token import Token

from policies.markdown import marks

_TITLE = re.compile("#+")
_END = "end"
"""Of the meta of a token: the place behind the sign that ends a link or an image."""

LineEnds = dict[int, str]


class _Lost(Exception):
    """A token is not where it must be."""


def without_marks(text: str) -> LineEnds:
    """Return the characters to read, by their places in the text.

    Lines stay lines. A character that is written as an entity has the place at which that begins.
    """
    # Of the same length, and as the parser wants it.
    source = text.replace("\r\n", " \n").replace("\r", "\n").replace("\0", "\ufffd")
    lines = source.split("\n")
    begins = [0]
    for line in lines:
        begins.append(begins[-1] + len(line) + 1)
    line_ends = {place: text[place] for place, character in enumerate(source) if character == "\n"}
    tokens = _PARSER.parse(source)
    line_ends.update(_numbers(tokens, lines, begins))
    for token in tokens:
        if token.map is None or token.type not in ("inline", "fence", "code_block"):
            continue
        first, last = token.map
        try:
            for place, sign in _read(token, lines, begins).items():
                # Only an entity is read otherwise than it is written. Of a tab, the parser makes blanks.
                written = text[place : place + 1]
                if not sign.isspace() or written.isspace():
                    line_ends[place] = sign if written == "&" else written
        except _Lost:
            places = range(begins[first], min(begins[last], len(text)))
            line_ends.update({place: text[place] for place in places})
    return line_ends


def _numbers(tokens: Iterable[Token], lines: Sequence[str], begins: Sequence[int]) -> LineEnds:
    """Return the numbers of lists. Several may stand in one line."""
    line_ends: LineEnds = {}
    passed: dict[int, int] = {}
    for token in tokens:
        if token.type == "list_item_open" and token.info and token.map is not None:
            line, sign = token.map[0], f"{token.info}{token.markup}"
            at = lines[line].find(sign, passed.get(line, 0))
            if at >= 0:
                passed[line] = at + len(sign)
                shown = lines[line][at : at + len(sign) + 1]
                line_ends.update({begins[line] + at + offset: each for offset, each in enumerate(shown)})
    return line_ends


def _read(token: Token, lines: Sequence[str], begins: Sequence[int]) -> LineEnds:
    assert token.map is not None
    first = token.map[0] + (token.type == "fence")
    places = _places(token, lines, begins, first)
    if token.type != "inline":
        return {place: sign for place, sign in zip(places, token.content, strict=True) if sign != "\n"}
    walk = _Walk(token.content)
    walk.follow(token.children or ())
    return {places[at]: sign for at, sign in walk.line_ends.items()}


def _places(token: Token, lines: Sequence[str], begins: Sequence[int], first: int) -> list[int]:
    """Return the place in the source of each character of a block. Its lines have no prefixes, such as `>
    `."""
    places: list[int] = []
    for number, line in enumerate(token.content.split("\n"), first):
        if number >= len(lines):
            # The end of the last line of code, where the text ends.
            places += [begins[-1]] * (len(line) + 1)
            continue
        bare, written = line.strip(), lines[number]
        at = _find(bare, written)
        indent = len(line) - len(line.lstrip())
        begin = begins[number] + at - (indent if bare else 0)
        places += [max(begins[number], begin + offset) for offset in range(len(line) + 1)]
    return places[:-1]


def _find(bare: str, written: str) -> int:
    """Return where the content of a line begins: at its end, unless a title has signs behind it."""
    end = len(written.rstrip())
    if written[:end].endswith(bare):
        return end - len(bare)
    title = _TITLE.search(written)
    at = -1 if title is None else written.find(bare, title.end())
    if at < 0:
        raise _Lost
    return at


class _Walk:
    """A walk along the text of one block, from token to token. `line_ends` has the read characters, by
    place."""

    def __init__(self, source: str) -> None:
        self.line_ends: LineEnds = {}
        self._source = source
        self._at = 0
        # Where the text of the link begins.
        self._link = 0
        self._steps: Mapping[str, Callable[[Token], object]] = {
            "text": self._text,
            "text_special": self._special,
            "softbreak": self._line_end,
            "hardbreak": self._line_end,
            "code_inline": self._code,
            "html_inline": lambda token: self._skip(token.content),
            "link_open": self._link_opens,
            "link_close": self._link_closes,
            "image": self._image,
        }

    def follow(self, tokens: Iterable[Token]) -> None:
        """Take the tokens of a block. Raises _Lost."""
        for token in tokens:
            if (step := self._steps.get(token.type)) is not None:
                step(token)
            else:
                self._skip(token.markup)

    def _skip(self, written: str) -> int:
        """Pass the expected text, and return its start."""
        if not self._source.startswith(written, self._at):
            raise _Lost
        began = self._at
        self._at += len(written)
        return began

    def _keep(self, text: str, start: int) -> None:
        for at, character in enumerate(text, start):
            self.line_ends[at] = character

    def _text(self, token: Token) -> None:
        if token.content:
            self._keep(token.content, self._skip(token.content))

    def _special(self, token: Token) -> None:
        """Read a sign behind a backslash, or an entity."""
        start = self._skip(token.markup)
        if len(token.content) > 1:
            # A backslash before a letter, or an entity of two characters.
            self._keep(token.markup, start)
        else:
            self._keep(token.content, start + (token.info == "escape"))

    def _line_end(self, _token: Token) -> None:
        self._at = self._source.find("\n", self._at) + 1
        if not self._at:
            raise _Lost
        while self._source[self._at : self._at + 1] in (" ", "\t"):
            self._at += 1

    def _code(self, token: Token) -> None:
        self._skip(token.markup)
        # One blank on each side is a mark as well.
        for margin in (0, 1):
            start, end = self._at + margin, self._at + margin + len(token.content)
            if self._source[start:end].replace("\n", " ") == token.content and self._source[
                end + margin :
            ].startswith(token.markup):
                self._keep(self._source[start:end], start)
                self._at = end + margin
                self._skip(token.markup)
                return
        raise _Lost

    def _link_opens(self, token: Token) -> None:
        self._skip("<" if token.markup == "autolink" else "[")
        self._link = self._at

    def _link_closes(self, token: Token) -> None:
        if token.markup == "autolink":
            self._skip(">")
            return
        self._at = token.meta[_END]
        self._name_host(self._link)

    def _image(self, token: Token) -> None:
        start = self._skip("![") + 2
        alt = _Walk(token.content)
        alt.follow(token.children or ())
        self.line_ends.update({start + at: sign for at, sign in alt.line_ends.items()})
        self._at = token.meta[_END]
        self._name_host(start)

    def _name_host(self, start: int) -> None:
        """Read the host of a link or an image that has no text."""
        if not any(map(str.isalnum, (self.line_ends.get(at, "") for at in range(start, self._at)))):
            host = marks.host_of(self._source, start, self._at)
            self._keep(self._source[host.start : host.stop], host.start)


def _noting(rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    """Return a rule that also notes the end of its match: tokens do not have it."""

    def found(state: StateInline, silent: bool) -> bool:
        is_found = rule(state, silent)
        if is_found and not silent:
            state.tokens[-1].meta[_END] = state.pos
        return is_found

    return found


_PARSER = MarkdownIt("commonmark").disable("text_join")
_PARSER.inline.ruler.at("link", _noting(link))
_PARSER.inline.ruler.at("image", _noting(image))
