#!/usr/bin/env python3
"""`muonlab stats`: what it reads, prints and refuses."""

import json
import re
import subprocess

import program

MUON = [4.6301, 4.5773, 4.5820, 4.5988, 4.6003]
ADAMW = [4.6822, 4.6503, 4.6442, 4.6596, 4.6718]
KEYS = ("n means mean_difference sd_difference ci95 t df p_paired p_welch "
        "df_welch p_sign_flip p_permutation p_holm ci95_bca tost hedges_g "
        "probability_of_improvement n_for_80_percent_power warnings").split()


def table(**arms):
    """CSV with seeds 1, 2, ...; an arm's values may be numbers or text."""
    lines = ["arm,seed,value"]
    for arm, values in arms.items():
        lines += [f"{arm},{seed},{value}" for seed, value in enumerate(values, 1)]
    return "\n".join(lines) + "\n"


class Stats(program.Case):
    @classmethod
    def setUpClass(cls):
        pass  # no corpus

    def file(self, text, name="runs.csv"):
        path = self.folder / name
        path.write_text(text)
        return path

    def stats(self, text, *options, name="runs.csv"):
        """The JSON page of a table."""
        output, _ = self.expect(0, "stats", self.file(text, name), *options, "--json")
        return json.loads(output)

    def refuse(self, code, words, text, *options):
        self.expect_error(code, words, "stats", self.file(text), *options)

    def test_help_has_an_example(self):
        output, _ = self.expect(0, "stats", "--help")
        self.assertIn("Example: muonlab stats", output)
        self.assertIn("stats ", self.expect(0, "--help")[0])

    def test_a_pair(self):
        page = self.stats(table(muon=MUON, adamw=ADAMW))
        self.assertEqual(page["schema"], 1)
        (pair,) = page["comparisons"]
        for key in KEYS:
            self.assertIn(key, pair)
        self.assertEqual(pair["arms"], ["muon", "adamw"])
        self.assertEqual((pair["n"], pair["df"]), (5, 4))
        # SciPy's numbers, from tests/judges/statistics_judge.py.
        for key, value in (("t", -16.719812906529015),
                           ("p_paired", 7.4978895337156112e-05),
                           ("p_holm", 7.4978895337156112e-05),
                           ("p_welch", 0.00073193032623515564),
                           ("df_welch", 7.4094297107408895),
                           ("p_permutation", 0.0079365079365079361),
                           ("hedges_g", -3.1524579962854564)):
            self.assertAlmostEqual(pair[key] / value, 1, delta=1e-12)
        self.assertEqual(pair["p_sign_flip"], 0.0625)
        self.assertAlmostEqual(pair["ci95"][0], -0.074534375418934429, delta=1e-14)
        self.assertIsNone(pair["ci95_bca"])
        self.assertIsNone(pair["tost"])
        self.assertTrue(any("0.0625" in w for w in pair["warnings"]))

    def test_numbers_are_in_their_shortest_form(self):
        output, _ = self.expect(0, "stats", self.file(
            table(a=[0.1, 0.2, 0.4], b=[0.1, 0.3, 0.3])), "--json")
        numbers = re.findall(r"^(?:.*: | *)(-?\d[\d.e+-]*),?$", output, re.MULTILINE)
        self.assertGreater(len(numbers), 20)
        for text in numbers:
            self.assertLessEqual(len(text), len(repr(float(text))), text)

    def test_text_shows_all_pairs_and_warnings(self):
        output, _ = self.expect(0, "stats", self.file(
            table(muon=MUON, adamw=ADAMW, sgd=[5, 5.1, 5.2, 5, 5.3])),
            "--margin", "0.005")
        for word in ("muon - adamw", "muon - sgd", "adamw - sgd", "p Holm",
                     "not shown", "warning: ", ">= 0.0625"):
            self.assertIn(word, output)

    def test_holm_covers_the_family(self):
        text = table(muon=MUON, adamw=ADAMW, near=[x + 0.001 * i for i, x in enumerate(ADAMW)])
        pairs = self.stats(text)["comparisons"]
        self.assertEqual(len(pairs), 3)
        ordered = sorted(pairs, key=lambda pair: pair["p_paired"])
        running = 0
        for rank, pair in enumerate(ordered):
            running = max(running, min(1, (3 - rank) * pair["p_paired"]))
            self.assertAlmostEqual(pair["p_holm"], running, delta=1e-15)
        against = self.stats(text, "--baseline", "adamw")["comparisons"]
        self.assertEqual([pair["arms"] for pair in against],
                         [["muon", "adamw"], ["near", "adamw"]])

    def test_margin_and_alpha(self):
        text = table(a=[1, 2, 3, 4], b=[1.01, 2.02, 3, 4.01])
        pair = self.stats(text, "--margin", "0.1")["comparisons"][0]
        self.assertTrue(pair["tost"]["equivalent"])
        self.assertEqual(pair["tost"]["margin"], 0.1)
        wide = self.stats(text, "--alpha", "0.01")["comparisons"][0]
        self.assertEqual(wide["ci95"], pair["ci95"])
        self.assertLess(wide["ci"][0], pair["ci"][0])

    def test_bootstrap_is_seeded(self):
        text = table(a=[1, 2, 4, 3, 5, 7, 6, 9], b=[2, 2, 5, 4, 5, 9, 6, 8])
        first = self.stats(text, "--seed", "1")
        self.assertEqual(first, self.stats(text, "--seed", "1"))
        interval = first["comparisons"][0]["ci95_bca"]
        self.assertLess(interval[0], -0.5)
        self.assertNotEqual(
            interval, self.stats(text, "--seed", "2", "--resamples",
                                 "200")["comparisons"][0]["ci95_bca"])

    def test_seeds_that_differ_are_paired_where_they_can_be(self):
        text = table(a=[1, 2, 3, 4.5], b=[2, 3, 4])
        pair = self.stats(text)["comparisons"][0]
        self.assertEqual((pair["n"], pair["n_each"]), (3, [4, 3]))
        self.assertEqual(pair["seeds"], ["1", "2", "3"])
        self.assertTrue(any("3 common seeds" in w for w in pair["warnings"]))

    def test_without_seeds_nothing_is_paired(self):
        text = "arm,value\n" + "".join(f"a,{x}\nb,{x * x}\n" for x in (1.5, 2, 3))
        page = self.stats(text)
        pair = page["comparisons"][0]
        self.assertEqual((pair["test"], pair["p_paired"]), ("Welch", None))
        self.assertEqual(pair["p_holm"], pair["p_welch"])
        self.assertTrue(any("seed" in note for note in page["notes"]))
        seeded = table(a=[1.5, 2, 3], b=[2.25, 4, 9])
        unpaired = self.stats(seeded, "--unpaired")
        self.assertEqual(unpaired["comparisons"][0]["p_welch"], pair["p_welch"])
        self.assertIsNone(unpaired["comparisons"][0]["t"])

    def test_two_seeds_give_no_p(self):
        pair = self.stats(table(a=[1, 2], b=[3, 5]))["comparisons"][0]
        for key in ("t", "p_paired", "p_welch", "p_sign_flip", "p_permutation",
                    "p_holm", "ci95", "n_for_80_percent_power"):
            self.assertIsNone(pair[key], key)
        self.assertEqual(pair["mean_difference"], -2.5)
        self.assertTrue(any("below n = 3" in w for w in pair["warnings"]))

    def test_identical_values_give_no_p(self):
        pair = self.stats(table(a=[1, 1, 1], b=[1, 1, 1]))["comparisons"][0]
        self.assertIsNone(pair["p_paired"])
        self.assertIsNone(pair["hedges_g"])
        self.assertTrue(any("no spread" in w for w in pair["warnings"]))

    def test_forms_of_the_same_table(self):
        expected = self.stats(table(a=[1, 2, 3], b=[2, 2, 5]))["comparisons"]
        rows = [{"arm": arm, "seed": seed, "value": value}
                for arm, values in (("a", [1, 2, 3]), ("b", [2, 2, 5]))
                for seed, value in enumerate(values, 1)]
        for text in (json.dumps(rows), json.dumps({"rows": rows, "more": 1}),
                     "\ufeff" + table(a=[1, 2, 3], b=[2, 2, 5]).replace("\n", "\r\n"),
                     "value, seed ,\"arm\"\n1,1,a\n2,2,\"a\"\n3,3,a\n\n2,1,b\n2,2,b\n5,3,b"):
            self.assertEqual(self.stats(text)["comparisons"], expected, text)

    def test_stdin(self):
        done = subprocess.run([program.MUONLAB, "stats", "-", "--json"], text=True,
                              input=table(a=[1, 2, 3], b=[2, 2, 5]),
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["comparisons"][0]["n"], 3)

    def test_other_columns_are_named(self):
        page = self.stats("arm,seed,size,value\na,1,s,1\na,2,s,2\nb,1,s,2\nb,2,s,4\n")
        self.assertEqual(page["notes"], ["columns not used: size"])
        self.refuse(4, ["line 3", "second value", "line 2", "size"],
                    "arm,seed,size,value\na,1,s,1\na,1,m,2\nb,1,s,2\n")

    def test_bad_tables_are_named(self):
        self.refuse(4, ["empty", "arm,seed,value"], "")
        self.refuse(4, ["no runs"], "arm,seed,value\n")
        self.refuse(4, ["one arm", "'a'"], table(a=[1, 2]))
        self.refuse(4, ["no column 'value'", "arm, seed, loss"],
                    "arm,seed,loss\na,1,2\n")
        self.refuse(4, ["no column 'arm'"], "1,2,3\n4,5,6\n")
        self.refuse(4, ["line 3", "'b'", "nan", "hint: "],
                    table(a=[1], b=["nan"]))
        self.refuse(4, ["line 2", "inf"], table(a=["-inf"], b=[1]))
        self.refuse(4, ["line 2", "'x'", "number"], table(a=["x"], b=[1]))
        self.refuse(4, ["line 3", "2 cells"], "arm,seed,value\na,1,2\nb,1\n")
        self.refuse(4, ["line 2", "seed is empty"], "arm,seed,value\na,,2\nb,1,1\n")
        self.refuse(4, ["line 2", "no name"], "arm,seed,value\n,1,2\nb,1,1\n")
        self.refuse(4, ["quote"], 'arm,value\n"a,1\n')
        self.refuse(4, ["not JSON"], '[{"arm": ')
        self.refuse(4, ["rows"], '{"arm": "a"}')
        self.refuse(4, ["row 1", "'value'"], '[{"arm": "a"}]')
        self.refuse(4, ["row 2", "some rows"],
                    '[{"arm":"a","value":1,"seed":1},{"arm":"b","value":1}]')
        self.refuse(4, ["row 1", "nan"], '[{"arm":"a","value":"nan"}]')
        self.expect_error(4, ["none.csv"], "stats", self.folder / "none.csv")

    def test_bad_options_are_named(self):
        text = table(muon=MUON, adamw=ADAMW)
        self.refuse(3, ["'adam'", "'adamw'"], text, "--baseline", "adam")
        for options in (["--alpha", "1"], ["--alpha", "x"], ["--margin", "0"],
                        ["--resamples", "5"], ["--seed", "-1"], ["--colour"]):
            with self.subTest(options=options):
                self.refuse(2, ["hint: "], text, *options)
        self.expect_error(2, [], "stats")


if __name__ == "__main__":
    program.main()
