#!/usr/bin/env python3
"""`muonlab bench`: what it prints and refuses."""

import json

import program


class Bench(program.Case):
    def test_help_has_an_example(self):
        output, _ = self.expect(0, "bench", "--help")
        self.assertIn("Example: muonlab bench", output)
        self.assertIn("bench ", self.expect(0, "--help")[0])

    def test_quick_tables(self):
        output, _ = self.expect(0, "bench", "--quick", "--threads", "1")
        for word in ("1 thread\n", "GFLOP/s in float32", "768x768x3072",
                     "symmetric", "bfloat16-master", "gram mixed", "192x768",
                     "adam", "summarise", "GB/s"):
            self.assertIn(word, output)

    def test_json(self):
        page = json.loads(self.expect(0, "bench", "--quick", "--json")[0])
        self.assertEqual(page["schema"], 1)
        self.assertTrue(page["quick"])
        for key in ("cpu", "threads", "versions", "simd"):
            self.assertIn(key, page["machine"])
        self.assertEqual(len(page["peaks"]), 1)
        self.assertEqual({(p["kind"], p["element"]) for p in page["products"]},
                         {(k, e) for k in ("full", "symmetric")
                          for e in ("float32", "bfloat16")})
        for row in page["products"] + page["polar"]:
            self.assertGreater(row["seconds"], 0)
            self.assertGreater(row["share_of_peak"], 0)
        for row in page["products"]:
            size = row["rows"] * row["columns"] * row["depth"]
            self.assertEqual(row["flops"],
                             size * (1 if row["kind"] == "symmetric" else 2))
        self.assertEqual([e["pass"] for e in page["elementwise"]],
                         ["adam", "summarise"])

    def test_usage_errors(self):
        for arguments in (["--colour"], ["extra"], ["--threads", "0"],
                          ["--threads", "two"], ["--quick=maybe"]):
            with self.subTest(arguments=arguments):
                self.expect_error(2, ["hint: "], "bench", *arguments)

    def test_bad_levels_are_named(self):
        self.expect_error(3, ["avx3", "avx2"], "bench", "--levels", "avx3")
        self.expect_error(3, ["sclar"], "bench", "--levels", "scalar,sclar")


if __name__ == "__main__":
    program.main()
