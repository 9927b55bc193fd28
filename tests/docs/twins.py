"""Chinese twins of pages: each ends in a comment that says which English text it
follows.

python tests/docs/twins.py --behind          # marks the twins that are behind: they then tell their readers
python tests/docs/twins.py --follows PAGE... # the twins of these pages have been brought up to date
"""

import argparse
import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRANSLATED = "quickstart", "chapter", "checks", "installation", "troubleshooting"
TWINS = {"README.md": "README.zh-CN.md"} | {
    f"docs/{name}.md": f"docs/zh-CN/{name}.md" for name in TRANSLATED
}
# the English page has changed since, and counts
NOTE = "> 英文页面有更新，本页尚未同步，请以英文页面为准。\n\n"
COMMENT = re.compile(r"\n<!-- follows (\S+) (\w+) -->\n$")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def mark_of(name: str) -> str:
    return hashlib.sha256(text_of(name).encode()).hexdigest()[:12]


def followed(twin: str) -> str:
    """The mark of the English text that a twin follows; "" if it says none."""
    found = COMMENT.search(text_of(twin))
    return found[2] if found else ""


def is_behind(page: str) -> bool:
    return followed(TWINS[page]) != mark_of(page)


def mark_as_behind(page: str) -> None:
    """Put the note to readers above the first heading of a section."""
    twin, text = ROOT / TWINS[page], text_of(TWINS[page])
    if NOTE not in text:
        twin.write_text(text.replace("\n## ", f"\n{NOTE}## ", 1), encoding="utf-8")


def mark_as_following(page: str) -> None:
    """Drop the note, and write down which English text the twin follows."""
    twin, text = ROOT / TWINS[page], text_of(TWINS[page])
    text = COMMENT.sub("", text.replace(NOTE, "")).rstrip("\n")
    twin.write_text(
        f"{text}\n\n<!-- follows {page} {mark_of(page)} -->\n", encoding="utf-8"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--behind", action="store_true")
    parser.add_argument(
        "--follows", nargs="+", default=[], choices=TWINS, metavar="PAGE"
    )
    options = parser.parse_args()
    for name in options.follows:
        mark_as_following(name)
    for name in filter(is_behind, TWINS):
        print(f"{TWINS[name]} is behind {name}")
        if options.behind:
            mark_as_behind(name)
