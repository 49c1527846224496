#!/usr/bin/env python3
"""Export one figure of a study report as a picture, without a browser.

usage: report_picture.py FOLDER OUT [FIGURE]

FOLDER is the report's folder (or one *.vl.json file), OUT ends in .svg or .png,
FIGURE is a name in FOLDER/plots; the default is paired-differences, else the
first figure.
"""
import json
import pathlib
import sys

import vl_convert

WIDTH = 680  # pixels; in the report the page decides


def find_spec(folder: pathlib.Path, name: str | None) -> pathlib.Path:
    if folder.is_file():
        return folder
    plots = {p.name.removesuffix(".vl.json"): p
             for p in sorted((folder / "plots").glob("*.vl.json"))}
    if not plots:
        sys.exit(f"report_picture: no figures in {folder / 'plots'}")
    if name is None:
        name = "paired-differences"
        return plots.get(name) or next(iter(plots.values()))
    if name not in plots:
        sys.exit(f"report_picture: no figure '{name}'; "
                 f"known: {', '.join(plots)}")
    return plots[name]


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.strip())
    name = sys.argv[3] if len(sys.argv) == 4 else None
    spec = json.loads(find_spec(pathlib.Path(sys.argv[1]), name).read_text())
    spec["width"] = WIDTH
    # A page supplies these two; a picture stands alone, on any background.
    spec["background"] = "white"
    text = json.dumps(spec).replace('"currentColor"', '"#1c1f23"')
    out = pathlib.Path(sys.argv[2])
    if out.suffix == ".svg":
        out.write_text(vl_convert.vegalite_to_svg(text), encoding="utf-8")
    elif out.suffix == ".png":
        out.write_bytes(vl_convert.vegalite_to_png(text, scale=2))
    else:
        sys.exit(f"report_picture: {out}: expected a name in .svg or .png")


if __name__ == "__main__":
    main()
