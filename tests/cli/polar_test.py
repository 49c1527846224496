#!/usr/bin/env python3
"""`muonlab polar`: what it prints, writes and refuses."""

import json
import struct

import program


def write_tensors(path, **matrices):
    """A safetensors file of float32: name = (shape, values)."""
    header, data = {}, b""
    for name, (shape, values) in matrices.items():
        part = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Polar(program.Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "weights.safetensors"
        values = [((7 * i * i + 3 * i) % 101 - 50) / 25 for i in range(20 * 12)]
        write_tensors(self.file, first=([20, 12], values),
                      second=([12, 20], values), gain=([12], values[:12]))

    def polar(self, *arguments):
        """The JSON."""
        return json.loads(self.expect(0, "polar", *arguments, "--json")[0])

    def test_help_has_an_example(self):
        output, _ = self.expect(0, "polar", "--help")
        self.assertIn("Example: muonlab polar", output)
        self.assertIn("polar ", self.expect(0, "--help")[0])

    def test_every_matrix_of_a_file(self):
        output, _ = self.expect(0, "polar", self.file)
        for word in ("first", "20x12", "second", "12x20", "GFLOP/s", "peak"):
            self.assertIn(word, output)
        self.assertNotIn("gain", output)
        page = self.polar(self.file)
        self.assertEqual(page["schema"], 1)
        self.assertGreater(page["peak"]["float32"], 0)
        self.assertEqual([m["name"] for m in page["matrices"]],
                         ["first", "second"])
        for matrix in page["matrices"]:
            self.assertGreater(matrix["seconds"], 0)
            self.assertLess(matrix["distance_from_float64"], 1e-3)
            self.assertLess(matrix["distance_from_exact"], 1)
        one = self.polar(self.file, "--tensor", "second")
        self.assertEqual(len(one["matrices"]), 1)

    def test_exact_methods_are_exact(self):
        for method in ("svd", "qdwh"):
            matrix = self.polar("--shape", "40x24", "--method", method)["matrices"][0]
            self.assertLess(matrix["distance_from_exact"], 1e-4)
            self.assertLess(matrix["orthogonality_error"], 1e-4)
            self.assertIsNone(matrix["flops"])

    def test_precisions_lie_where_they_should(self):
        shape = ("--shape", "48x96", "--seed", "3")
        fine = self.polar(*shape)["matrices"][0]["distance_from_float64"]
        for more in (["--dtype", "bfloat16"], ["--method", "gram", "--dtype", "mixed"]):
            coarse = self.polar(*shape, *more)["matrices"][0]
            self.assertGreater(coarse["distance_from_float64"], fine)
            self.assertLess(coarse["distance_from_float64"], 0.1)

    def test_every_kind_of_matrix(self):
        for kind in ("gaussian", "ill-conditioned", "low-rank", "rank-deficient"):
            for shape in ("24x40", "40x24", "1x3"):
                page = self.polar("--shape", shape, "--kind", kind)
                self.assertEqual(page["matrices"][0]["name"], "matrix")

    def test_the_factors_that_it_writes_are_orthogonal(self):
        out = self.folder / "factors.safetensors"
        self.expect(0, "polar", self.file, "--method", "svd", "--out", out)
        self.assertIn("first", self.expect(0, "inspect", out)[0])
        again = self.polar(out, "--method", "svd")
        self.assertLess(again["matrices"][0]["distance_from_exact"], 1e-5)

    def test_large_matrices_have_references_where_asked_for(self):
        page = self.polar("--shape", "1025x1025", "--steps", "1")
        self.assertIsNone(page["matrices"][0]["distance_from_exact"])

    def test_tables_and_generated_rows(self):
        names = [t["name"] for t in self.polar("--tables")["tables"]]
        output, _ = self.expect(0, "polar", "--tables")
        for name in names:
            self.assertIn(name, output)
        self.assertIn("keller", names)
        made = self.polar("--generate", "lower=1e-3,steps=4")
        self.assertEqual(len(made["rows"]), 4)
        output, _ = self.expect(0, "polar", "--generate", "lower=1e-3,steps=4")
        self.assertIn("polar_steps = 4", output)
        self.expect(0, "polar", "--shape", "9x7", "--coefficients",
                    made["text"], "--steps", "4")

    def test_usage_errors(self):
        for arguments in (
                [], ["--colour"], ["--shape", "8x8", "--steps", "0"],
                ["--shape", "8x8", "--steps", "many"],
                [self.file, "--shape", "8x8"], ["--tensor", "first"],
                ["--kind", "gaussian"], ["--shape", "8x8", "--threads", "0"],
                ["--shape", "8x8", "--seed", "-1"],
                ["--tables", "--generate", "steps=3"]):
            with self.subTest(arguments=arguments):
                self.expect_error(2, ["hint: "], "polar", *arguments)

    def test_bad_values_are_named(self):
        def refuse(words, *arguments):
            self.expect_error(3, words, "polar", "--shape", "8x8", *arguments)
        refuse(["--method", "gran", "'gram'"], "--method", "gran")
        refuse(["--dtype", "int8"], "--dtype", "int8")
        refuse(["mixed", "gram"], "--dtype", "mixed")
        refuse(["--norm", "max"], "--norm", "max")
        refuse(["--coefficients"], "--coefficients", "kellar")
        refuse(["--coefficients"], "--coefficients", "9,9,9")
        refuse(["--restarts", "no effect"], "--restarts", "2")
        refuse(["often"], "--method", "gram", "--restarts", "often")
        refuse(["--steps", "no effect"], "--method", "svd", "--steps", "4")
        refuse(["--kind", "gausian", "'gaussian'"], "--kind", "gausian")
        for shape in ("8", "8x", "x8", "0x4", "-1x4", "8x8x8", "axb",
                      "99999999999x99999999999", "1000000x1000000"):
            self.expect_error(3, ["--shape", shape, "expected"],
                              "polar", f"--shape={shape}")
        self.expect_error(3, ["lowr", "'lower'"], "polar", "--generate", "lowr=1")
        self.expect_error(3, ["steps"], "polar", "--generate", "steps=0")

    def test_bad_files_are_named(self):
        self.expect_error(4, ["none"], "polar", self.folder / "none")
        nonsense = self.folder / "nonsense"
        nonsense.write_bytes(b"nonsense" * 9)
        self.expect_error(4, ["nonsense"], "polar", nonsense)
        self.expect_error(3, ["'frist'", "'first'"], "polar", self.file,
                          "--tensor", "frist")
        self.expect_error(3, ["'gain'", "1 dimensions"], "polar", self.file,
                          "--tensor", "gain")
        empty = self.folder / "empty.safetensors"
        write_tensors(empty, gain=([2], [1, 2]))
        self.expect_error(3, ["no matrix"], "polar", empty)
        write_tensors(empty, bad=([1, 2], [1, float("nan")]))
        self.expect_error(4, ["'bad'", "NaN"], "polar", empty)
        self.expect_error(4, ["missing"], "polar", self.file, "--out",
                          self.folder / "missing" / "out.safetensors")


if __name__ == "__main__":
    program.main()
