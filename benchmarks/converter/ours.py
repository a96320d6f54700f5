"""Runs the converter on one file: ``python ours.py ENGINE CONTRACT SOURCE TARGET_FOLDER``, by the function behind ``dm convert``."""

from __future__ import annotations

import sys
from pathlib import Path

from convert import engine as conversion
from convert import parse
from convert.local_file import convert

if __name__ == "__main__":
    engine, contract, source, target = sys.argv[1:]
    key = Path(target).with_suffix(".key")
    key.write_text("0f" * 32)
    if engine == "datamaster-fallback":
        whole = parse.parser
        fallback = lambda schema, file_format, header=None: whole(schema, file_format, header, engine="fallback")  # noqa: E731
        setattr(conversion, "parser", fallback)  # noqa: B010
    convert(Path(source), Path(contract), Path(target), mask_key_file=key)
