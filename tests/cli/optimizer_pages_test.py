#!/usr/bin/env python3
"""docs/optimizers against the program: optimizer_pages_test.py PROGRAM.

Every rule has a page and a row in the index, and its page lists the options
that `optim list --json` lists, with the same defaults.
"""

import json
import math
import re
import unittest

import program

PAGES = program.ROOT / "docs" / "optimizers"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.MULTILINE)


def number(text):
    """Of "0.02", "2^-12", "inf"; None for a word."""
    base, _, exponent = text.partition("^")
    try:
        return float(base) ** float(exponent) if exponent else float(base)
    except ValueError:
        return None


def same(value, text):
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, str) and number(value) is None:
        return text == value
    return number(text) is not None and math.isclose(
        float(value), number(text), rel_tol=1e-12)


class OptimizerPages(unittest.TestCase):
    def setUp(self):
        code, output, errors = program.run("optim", "list", "--json")
        self.assertEqual(code, 0, errors)
        self.rules = json.loads(output)["rules"]

    def test_every_rule_has_a_page_that_agrees(self):
        for rule in self.rules:
            with self.subTest(rule["name"]):
                page = (PAGES / f"{rule['name']}.md").read_text("utf-8")
                self.assertTrue(page.startswith(f"# {rule['name']}\n"))
                self.assertIn(f"muonlab optim show {rule['name']}\n", page)
                written = dict(ROW.findall(page))
                own = {o["name"]: o["default"] for o in rule["options"]}
                own |= {key: rule[key] for key in ("lr", "weight_decay")}
                self.assertEqual(sorted(written), sorted(own))
                for name, value in own.items():
                    self.assertTrue(
                        same(value, written[name].strip()),
                        f"{name}: {written[name]} on the page, {value}")

    def test_the_index_lists_every_rule_once(self):
        index = (PAGES / "README.md").read_text("utf-8")
        names = re.findall(r"^\| \[([\w-]+)\]\((?:\1)\.md\) \|", index,
                           re.MULTILINE)
        self.assertEqual(sorted(names), sorted(r["name"] for r in self.rules))

    def test_links_lead_somewhere(self):
        for page in PAGES.glob("*.md"):
            for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
                if not link.startswith("http"):
                    self.assertTrue((PAGES / link).exists(),
                                    f"{page.name}: {link}")


if __name__ == "__main__":
    program.main()
