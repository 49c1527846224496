#!/usr/bin/env python3
"""Open a study report in headless Chromium and look for faults.

usage: report_browser.py REPORT.html [--screenshot OUT.png] [--width N] [--dark]
                         [--pdf OUT.pdf]
       report_browser.py --writer PROGRAM

The first form checks one report: no console message of any kind, no request
that leaves the file, no page wider than its window, one drawn SVG with marks
for each figure, and pages with text when it is printed. The second lets PROGRAM
(study_sample_report) write reports, checks them, then breaks copies in several
ways and demands that every break is noticed. Exit codes: 0 good, 1 a fault,
77 chromium or vl-convert-python is missing.
"""
import argparse
import html.parser
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

SKIP = 77
SECONDS = 90  # for one start of the browser
# Written into the page by a probe, since only the DOM comes back.
PROBE = """<script type="module">
addEventListener("load", () => setTimeout(() => {
  document.documentElement.dataset.wide =
      document.documentElement.scrollWidth > innerWidth + 1 ? "yes" : "no";
}, 1500));
</script>"""
# Makes the browser refuse, and report on the console, whatever is not inline.
POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src
'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline';
img-src data:; font-src data:">"""


def find_browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    print("report_browser: chromium is not installed")
    sys.exit(SKIP)


def browse(url: str, options: list[str]) -> tuple[str, str]:
    """Standard output and error of one browser that ends by itself."""
    with tempfile.TemporaryDirectory(
            ignore_cleanup_errors=True) as profile:
        command = [find_browser(), "--headless", "--no-sandbox",
                   "--disable-gpu", "--no-first-run",
                   "--disable-background-networking",
                   "--disable-component-update", "--disable-sync",
                   f"--user-data-dir={profile}", "--hide-scrollbars",
                   "--enable-logging=stderr", "--v=0",
                   "--virtual-time-budget=10000", *options, url]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        try:
            return process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise SystemExit("report_browser: the browser did not end")


def at_end(text: str, addition: str) -> str:
    """Before the last </body>: the library has that tag inside a string."""
    head, tag, tail = text.rpartition("</body>")
    return head + addition + tag + tail


class Page(html.parser.HTMLParser):
    """Counts figures and the marks drawn inside each."""

    def __init__(self) -> None:
        super().__init__()
        self.root: dict[str, str | None] = {}
        self.figures: list[str] = []
        self.marks: dict[str, int] = {}
        self.depth = 0  # of div elements, from the plot's own

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "html":
            self.root = values
        classes = (values.get("class") or "").split()
        if tag == "div" and "plot" in classes:
            self.figures.append(values.get("data-name") or "?")
            self.marks[self.figures[-1]] = 0
            self.depth = 1
        elif tag == "div" and self.depth:
            self.depth += 1
        elif tag == "path" and self.depth and values.get("d"):
            # Axes and legends draw paths too, but legends of an empty figure
            # have neither; marks carry a role of their own.
            if values.get("aria-roledescription") not in (None, "axis"):
                self.marks[self.figures[-1]] += 1

    def handle_endtag(self, tag):
        if tag == "div" and self.depth:
            self.depth -= 1


def faults_of(report: pathlib.Path, width: int = 1300) -> list[str]:
    """What is wrong with a report; empty when nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "report.html"
        text = report.read_text(encoding="utf-8")
        copy.write_text(
            at_end(text.replace("<head>", "<head>" + POLICY, 1), PROBE),
            encoding="utf-8")
        dom, log = browse(copy.as_uri(),
                          [f"--window-size={width},2000", "--dump-dom"])
    faults = [f"console: {line.split('CONSOLE', 1)[1].strip()}"
              for line in log.splitlines() if "CONSOLE" in line]
    page = Page()
    page.feed(dom)
    if "data-wide" not in page.root:
        faults.append("the page's scripts did not run to the end")
    if page.root.get("data-wide") == "yes":
        faults.append(f"the page is wider than {width} pixels")
    expected = len(re.findall(r'<div class="plot"', text))
    if expected == 0:
        faults.append("the report has no figures")
    if len(page.figures) != expected:
        faults.append(f"{len(page.figures)} of {expected} figures")
    faults += [f"figure {name} is not drawn"
               for name, marks in page.marks.items() if marks == 0]
    return faults


def print_to(report: pathlib.Path, out: pathlib.Path,
             options: tuple[str, ...] = ()) -> None:
    browse(report.resolve().as_uri(),
           ["--no-pdf-header-footer", f"--print-to-pdf={out.resolve()}",
            *options])


def print_faults_of(report: pathlib.Path) -> list[str]:
    """What is wrong with a report on paper; empty when nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "report.pdf"
        print_to(report, out)
        content = out.read_bytes() if out.exists() else b""
    if not content.startswith(b"%PDF-"):
        return ["printing wrote no PDF"]
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    if pages == 0:
        return ["the printed report has no pages"]
    if b"/Font" not in content:
        return ["the printed report has no text"]
    return []


def check(report: pathlib.Path, width: int = 1300) -> bool:
    faults = faults_of(report, width)
    for fault in faults:
        print(f"report_browser: {report.name} at {width} px: {fault}")
    return not faults


def check_print(report: pathlib.Path) -> bool:
    faults = print_faults_of(report)
    for fault in faults:
        print(f"report_browser: {report.name} on paper: {fault}")
    return not faults


def breaks(text: str) -> dict[str, tuple[str, str]]:
    """Copies of a good report with one fault each, and what must be said."""
    return {
        "a script error": (
            at_end(text, "<script>undefined_name.x = 1;</script>"),
            "undefined_name is not defined"),
        "a warning": (
            at_end(text, "<script>console.warn('beware')</script>"),
            "beware"),
        "a syntax error in the library": (
            text.replace('<script type="module">',
                         '<script type="module">const = ;', 1),
            "is not drawn"),
        "a broken specification": (
            text.replace('"type":"quantitative"', '"type":"quantitive"'),
            "console"),
        "figures without data": (
            re.sub(r'"values":\[\{.*?\}\]', '"values":[]', text),
            "is not drawn"),
        "a request to elsewhere": (
            at_end(text, '<img src="absent.png" alt="">'), "absent.png"),
        "a page that is too wide": (
            at_end(text, '<div style="width:3000px">wide</div>'),
            "is wider than"),
    }


def prove(writer: str) -> bool:
    try:
        import vl_convert  # noqa: F401, the bundle script needs it
    except ImportError:
        print("report_browser: vl-convert-python is not installed")
        sys.exit(SKIP)
    scripts = pathlib.Path(__file__).resolve().parents[2] / "scripts"
    good = True
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        bundle = base / "vega.js"
        subprocess.run([sys.executable, scripts / "vega_bundle.py", bundle],
                       check=True)
        for kind in ("full", "search", "grid", "single", "sizes", "ladder",
                     "published-1", "published-2"):
            subprocess.run([writer, base / kind, bundle, kind], check=True,
                           stdout=subprocess.DEVNULL)
            for width in (1300, 500):
                good &= check(base / kind / "report.html", width)
            good &= check_print(base / kind / "report.html")
        text = (base / "full" / "report.html").read_text(encoding="utf-8")
        for name, (broken, expected) in breaks(text).items():
            if broken == text:
                print(f"report_browser: could not make {name}")
                good = False
                continue
            copy = base / "broken.html"
            copy.write_text(broken, encoding="utf-8")
            found = [f for f in faults_of(copy) if expected in f]
            print(f"{name}: {found[0] if found else 'NOT NOTICED'}")
            good &= bool(found)
        copy.write_text(at_end(text, "<style>@media print "
                               "{ main { display: none } }</style>"),
                        encoding="utf-8")
        found = print_faults_of(copy)
        print(f"a report that prints empty: {found or 'NOT NOTICED'}")
        good &= found == ["the printed report has no text"]
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", nargs="?", type=pathlib.Path)
    parser.add_argument("--writer")
    parser.add_argument("--screenshot", type=pathlib.Path)
    parser.add_argument("--pdf", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=1300)
    parser.add_argument("--height", type=int, default=8000)
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    find_browser()
    if arguments.writer:
        sys.exit(0 if prove(arguments.writer) else 1)
    if arguments.report is None:
        parser.error("give a REPORT.html or --writer")
    report = arguments.report.resolve()
    good = check(report, arguments.width) and check_print(report)
    options = [f"--window-size={arguments.width},{arguments.height}"]
    if arguments.dark:
        options += ["--force-dark-mode",
                    "--blink-settings=preferredColorScheme=0"]
    if arguments.screenshot:
        browse(report.as_uri(),
               [*options, f"--screenshot={arguments.screenshot.resolve()}"])
    if arguments.pdf:
        print_to(report, arguments.pdf, tuple(options))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
