"""Tracked text files of the checkout, and the sentences in them."""

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Texts that others word: of other people, of tools, and those that databases already hold.
FOREIGN = re.compile(r"(^|/)migrations/|^LICENSE$|^requirements.*\.lock$|^static/vendor/")
CODE_SPANS = re.compile(
    r"``[^`]+``|`[^`\n]+`|“[^”\n]*”|\{[^{}\n]*\}|https?://\S+|<[^<>\n]*>|python -m .*|causeway-console [a-z]+"
)
MARKUP = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
COMMENT_LINE = re.compile(r"^(?!\s*(#|//|/?\*)).*$", re.MULTILINE)


def tracked(ours: bool = True) -> Iterator[tuple[str, str]]:
    """Yield the path and the content of every tracked text file; only of files that we word, unless told otherwise."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if (ours and FOREIGN.search(name)) or not path.is_file():
            continue
        try:
            yield name, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # pictures and the like
            continue


def blank(pattern: re.Pattern[str], text: str) -> str:
    """Replace what matches by a sign that is no word, keeping lines where they are."""
    return pattern.sub(lambda found: "\n" * found.group().count("\n") or "·", text)


def prose(name: str, content: str) -> str:
    """Return the sentences of a file, line by line as in the file; what is code is left out."""
    suffix = Path(name).suffix
    if suffix == ".py":
        return blank(CODE_SPANS, _python(content))
    if suffix in {".html", ".svg"}:
        return blank(CODE_SPANS, blank(MARKUP, content))
    if suffix in {".md", ".txt"}:
        return blank(CODE_SPANS, blank(FENCED, content))
    return blank(CODE_SPANS, blank(COMMENT_LINE, content))


def _python(content: str) -> str:
    """Return comments and those strings that hold a space, each at its line."""
    lines = [""] * (content.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type == tokenize.COMMENT or (token.type != tokenize.OP and _sentence(token)):
            for offset, line in enumerate(token.string.split("\n")):
                lines[token.start[0] - 1 + offset] += f" {line}"
    return "\n".join(lines)


def _sentence(token: tokenize.TokenInfo) -> bool:
    strings = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    return token.type in strings and re.search(r"\w \w", token.string) is not None
