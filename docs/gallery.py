"""Run the code of docs/gallery.md, and write the picture of each block.

python docs/gallery.py [FOLDER]    # by default docs/
"""

import ast
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PAGE = Path(__file__).parent / "gallery.md"


def entries(text: str) -> list[tuple[str, str]]:
    """The path of each picture, and the code below it."""
    return re.findall(r"^!\[[^]]*\]\(([^)]+)\)\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def figure_of(code: str, names: dict[str, Any]) -> Any:
    """Run a block, and return the figure of what its last line returns: axes, some of them, or a figure."""
    *first, last = ast.parse(code).body
    assert isinstance(last, ast.Expr), f"the last line must return axes: {ast.unparse(last)}"
    exec(compile(ast.Module(first, []), str(PAGE), "exec"), names)
    value = eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)
    return np.ravel(np.array(value, dtype=object))[0].figure.figure if not hasattr(value, "savefig") else value


def compact(png: bytes) -> bytes:
    """Return a PNG with a palette of 256 colors, which is less than half as large."""
    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        if image.mode == "P":
            return png
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(content, "png", optimize=True)
    return content.getvalue()


def main(folder: Path) -> None:
    """Write all pictures."""
    names: dict[str, Any] = {}
    for picture, code in entries(PAGE.read_text()):
        path = folder / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        figure_of(code, names).savefig(content, dpi=100)
        path.write_bytes(compact(content.getvalue()))
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE.parent)
