#!/usr/bin/env python3
"""Write the JavaScript that draws the figures of study reports.

usage: vega_bundle.py OUT

One file of about 0.9 MB with Vega, Vega-Lite and Vega-Embed, made by
vl-convert-python without a network. It sets window.vegaEmbed; report.html
carries it inline in <script type="module">.
"""
import os
import pathlib
import sys

import vl_convert


def newest_vega_lite() -> str:
    """The newest Vega-Lite 6, the major version of the specifications."""
    versions = [v for v in vl_convert.get_vegalite_versions()
                if v.split(".")[0] == "6"]
    if not versions:
        sys.exit("vega_bundle: vl-convert-python has no Vega-Lite 6; "
                 "expected version 1.8 or newer")
    return max(versions, key=lambda v: [int(part) for part in v.split(".")])


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    bundle = vl_convert.javascript_bundle(vl_version=newest_vega_lite())
    if "window.vegaEmbed" not in bundle:
        sys.exit("vega_bundle: the bundle does not set window.vegaEmbed")
    out = pathlib.Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    partial.write_text(bundle, encoding="utf-8")
    os.replace(partial, out)


if __name__ == "__main__":
    main()
