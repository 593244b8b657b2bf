"""The product in figures: python scripts/house.py [--short] [FOLDER …]. --short lists the short files."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("proxy", "policies", "speech_engine", "plugins")
SHORT_LINES = 60
_FREE_PRONOUN = re.compile(
    r"\b(nobody|somebody|whoever|anybody)\b"
    r"|(?:^|[.:;] +)Who\b(?![^.:]*\?)"  # a sentence whose subject is "who"
    r"|\b(?:of|for|to|by|from|with|than|or|and|as|if|so|that) who\b",
    re.IGNORECASE | re.MULTILINE,
)
_COMMENT = re.compile(r"(?:^|\s)#\s(?!noqa|type:|pragma)(.*)", re.MULTILINE)


def main(arguments: list[str]) -> None:
    folders = [each for each in arguments if not each.startswith("-")] or list(PRODUCT)
    files = {path: path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in files.items()}
    lines = sum(text.count("\n") for text in files.values())
    short = [path for path, text in files.items() if 0 < text.count("\n") < SHORT_LINES]
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    imports = sum(_import_lines(tree) for tree in trees.values())
    figures = {
        "lines": lines,
        "files": len(files),
        f"files < {SHORT_LINES} lines": len(short),
        "import lines": f"{imports} ({imports / lines:.1%})",
        "__repr__": sum(text.count("def __repr__") for text in files.values()),
        "protocols": sum("Protocol" in _bases(each) for each in classes),
        "exception classes": len(_exceptions(classes)),
        "structs and tuples": sum(_is_value(each) for each in classes),
        "free pronouns": sum(len(_FREE_PRONOUN.findall(_prose(files[path], trees[path]))) for path in files),
    }
    print("\n".join(f"{name:20}{figure}" for name, figure in figures.items()))
    if "--short" in arguments:
        print("\n".join(f"{files[path].count(chr(10)):4} {path.relative_to(ROOT)}" for path in short))


def _import_lines(tree: ast.Module) -> int:
    nodes = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def _bases(node: ast.ClassDef) -> set[str]:
    plain = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in plain}


def _is_value(node: ast.ClassDef) -> bool:
    return bool(_bases(node) & {"Struct", "NamedTuple"}) or any(
        "dataclass" in ast.unparse(decorator) for decorator in node.decorator_list
    )


def _exceptions(classes: list[ast.ClassDef]) -> set[str]:
    known = {each.__name__ for each in vars(builtins).values() if hasattr(each, "with_traceback")}
    found: set[str] = set()
    while more := {each.name for each in classes if _bases(each) & (known | found)} - found:
        found |= more
    return found


def _prose(text: str, tree: ast.Module) -> str:
    nodes = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    strings = (each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str))
    return "\n".join((*strings, *_COMMENT.findall(text)))


if __name__ == "__main__":
    main(sys.argv[1:])
