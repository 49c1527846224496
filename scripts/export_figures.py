#!/usr/bin/env python3
"""Draw figures of a study report as SVG, PNG or PDF, without a browser.

usage: export_figures.py [--width PIXELS] [--format svg,png,pdf] FIGURE...

Each FIGURE is a NAME.vl.json of a report's plots folder; NAME.svg and so on are
written beside it. Width: of the whole picture with its axes, in CSS pixels
(default 480, the 5 inches of a paper's column of text); PNG has two dots for
each pixel, 192 per inch. The background is white. `muonlab study report
--figures svg` calls this.

Exit codes: 0 done, 1 a figure cannot be read, drawn or written, 2 usage,
7 vl-convert-python is missing.
"""
import argparse
import json
import os
import pathlib
import re
import sys

MISSING = 7
SUFFIX = ".vl.json"
FORMATS = ("svg", "png", "pdf")
SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)"')  # an SVG's first
INK = "#1c1f23"  # the report's text colour on white


def standing_alone(text: str, width: int) -> str:
    """The specification with what a page supplies: width, colours, fonts."""
    spec = json.loads(text)
    spec["width"] = width
    spec["background"] = "white"
    spec["padding"] = 6
    spec["config"]["background"] = "white"
    return json.dumps(spec).replace('"currentColor"', f'"{INK}"')


def in_points(size: re.Match) -> str:
    """The page of a PDF is counted in points, 1/72 inch."""
    width, height = (float(text) * 72 / 96 for text in size.groups())
    return f'width="{width:g}" height="{height:g}"'


def drawn(vl_convert, spec: str, form: str) -> bytes:
    """Two dots for each pixel in PNG; a pixel is 1/96 inch on paper."""
    if form == "png":  # scaled by ppi / 72, too
        return vl_convert.vegalite_to_png(spec, ppi=192, scale=2 * 72 / 192)
    svg = vl_convert.vegalite_to_svg(spec)
    if form == "svg":
        return svg.encode()
    return vl_convert.svg_to_pdf(SIZE.sub(in_points, svg, count=1))


def write(path: pathlib.Path, content: bytes) -> None:
    """The old file or the whole new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def formats_of(text: str) -> list[str]:
    formats = text.split(",")
    for form in formats:
        if form not in FORMATS:
            raise argparse.ArgumentTypeError(
                f"got '{form}', expected of {', '.join(FORMATS)}")
    return formats


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter,
        usage=argparse.SUPPRESS)
    parser.add_argument("figures", nargs="+", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--format", type=formats_of, default=["svg"])
    arguments = parser.parse_args()
    try:
        import vl_convert
    except ImportError as error:
        print(f"export_figures: {sys.executable}: {error}", file=sys.stderr)
        return MISSING
    for path in arguments.figures:
        if not path.name.endswith(SUFFIX):
            parser.error(f"{path}: expected a name that ends in {SUFFIX}")
        try:
            spec = standing_alone(path.read_text(encoding="utf-8"),
                                  arguments.width)
            for form in arguments.format:
                out = path.with_name(path.name.removesuffix(SUFFIX) + "." + form)
                write(out, drawn(vl_convert, spec, form))
                print(out)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"export_figures: {path}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
