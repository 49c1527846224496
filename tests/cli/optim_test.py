#!/usr/bin/env python3
"""`muonlab optim`: list, show, route, replay, and what they refuse."""

import json
import pathlib

import program

ROUTES = program.ROOT / "configs" / "routes"
REQUEST = {"rule": "muonw", "options": {"lr": 0.02, "weight_decay": 0.1},
           "shape": [3, 2], "w0": [.5, -.25, .125, -.75, 1, .3],
           "gradients": [[.1, -.2, .3, .4, -.5, .6]]}


class Optim(program.Case):
    def test_list_and_show_agree_with_their_json(self):
        output, _ = self.expect(0, "optim", "list")
        rules = json.loads(self.expect(0, "optim", "list", "--json")[0])["rules"]
        self.assertGreater(len(rules), 30)
        for rule in rules:
            self.assertIn(rule["name"], output)
            page, _ = self.expect(0, "optim", "show", rule["name"])
            for slot in rule["slots"]:
                self.assertIn(slot["formula"], page)
            for option in rule["options"]:
                self.assertIn(option["name"], page)
        shown = json.loads(self.expect(0, "optim", "show", "soap", "--json")[0])
        self.assertEqual(shown["schema"], 1)
        self.expect_error(3, ["adamoun", "'adamuon'"], "optim", "show", "adamoun")

    def test_route_of_described_models_and_of_a_run(self):
        for name in ("conv-net", "moe"):
            output, _ = self.expect(0, "optim", "route", ROUTES / f"{name}.toml")
            self.assertIn("effective rate", output)
        output, _ = self.expect(0, "optim", "route", ROUTES / "moe.toml")
        for words in ("8 of 1024x512 (expert0.gate, ..., expert3.up)",
                      "512x512, 2 of 128x512 (query, key, value)",
                      "group 'router'", "not updated: positions: frozen"):
            self.assertIn(words, output)
        rows = {row["name"]: row for row in json.loads(self.expect(
            0, "optim", "route", ROUTES / "moe.toml", "--json")[0])["parameters"]}
        interleaved = rows["blocks.0.attention.interleaved_qkv"]
        self.assertEqual([b["rows"] for b in interleaved["blocks"]],
                         [512, 128, 128])
        heads, _ = self.expect(0, "optim", "route", self.config, "--set",
                               "optim.blocks=heads")
        self.assertIn("6 of 16x32 (query.0, ..., value.1)", heads)

    def test_expect_passes_on_its_own_output_and_names_each_difference(self):
        config = ROUTES / "conv-net.toml"
        output, _ = self.expect(0, "optim", "route", config, "--json")
        expectation = self.folder / "expected.json"
        expectation.write_text(output)
        self.expect(0, "optim", "route", config, "--expect", expectation)
        self.expect_error(3, ["'conv1.weight'", "effective_lr", "0.01"],
                          "optim", "route", config, "--set", "optim.lr=0.01",
                          "--expect", expectation)
        wrong = json.loads(output)
        wrong["parameters"][0]["rule"] = "adamw"
        wrong["parameters"][1]["name"] = "conv1.bais"
        expectation.write_text(json.dumps(wrong))
        self.expect_error(
            3, ["'conv1.weight'", '"muon"', '"adamw"', "'conv1.bais'",
                "not updated", "'conv1.bias'", "does not have it"],
            "optim", "route", config, "--expect", expectation)
        expectation.write_text("{")
        self.expect_error(4, ["expected.json"], "optim", "route", config,
                          "--expect", expectation)
        expectation.write_text('{"parameters": 3}')
        self.expect_error(4, ["parameters"], "optim", "route", config,
                          "--expect", expectation)

    def route_refuses(self, words, text):
        file = self.folder / "model.toml"
        file.write_text(text)
        self.expect_error(3, words, "optim", "route", file)

    def test_route_refuses_bad_descriptions(self):
        def one(**fields):
            return "parameters = [{ %s }]\n" % ", ".join(
                f"{k} = {v}" for k, v in fields.items())
        good = {"name": '"w"', "shape": "[4, 3]", "role": '"matrix"'}
        self.route_refuses(["role", "matrx", "'matrix'"],
                           one(**good | {"role": '"matrx"'}))
        self.route_refuses(["shap", "'shape'"], one(**good | {"shap": "[1]"}))
        self.route_refuses(["'w'", "complex"],
                           one(**good | {"dtype": '"complex64"'}))
        self.route_refuses(["'w'", "5 rows", "has 4"], one(
            **good | {"blocks": '[{ name = "a", rows = 5 }]'}))
        self.route_refuses(["'w'", "1 dimension"],
                           one(**good | {"shape": "[4]"}))
        self.route_refuses(["'router'", "matches no parameter"],
                           one(**good) + '[optim.groups.router]\npattern = "x"\n')
        self.route_refuses(["optim.groups.router", "lrr"],
                           one(**good) + "[optim.groups.router]\nlrr = 1\n")

    def test_a_rate_of_minus_one_in_one_group_is_refused(self):
        self.expect_error(3, ["router", "lr", "-1"], "optim", "route",
                          ROUTES / "moe.toml", "--set",
                          "optim.groups.router.lr=-1")

    def replay(self, content, code=0, words=()):
        file = self.folder / "request.json"
        file.write_text(content if isinstance(content, str)
                        else json.dumps(content))
        if code:
            self.expect_error(code, words, "optim", "replay", file)
            return None
        return json.loads(self.expect(0, "optim", "replay", file)[0])

    def test_replay_answers_one_request_or_a_list(self):
        one = self.replay(REQUEST)
        self.assertEqual(one["schema"], 1)
        self.assertEqual(len(one["w"]), 1)
        self.assertEqual(self.replay([REQUEST, REQUEST]), [one, one])

    def test_replay_refuses_what_it_cannot_do(self):
        self.replay("{", 4, ["request.json"])
        self.replay(REQUEST | {"rule": "muno"}, 3, ["muno", "'muon'"])
        self.replay(REQUEST | {"options": {"momentun": 1}}, 3,
                    ["momentun", "'momentum'"])
        self.replay(REQUEST | {"options": {"lr": -1}}, 3, ["lr", "-1"])
        bad = REQUEST["gradients"][0].copy()
        bad[2] = "nan"
        self.replay(REQUEST | {"gradients": [bad]}, 5, ["'w'", "not finite"])
        self.replay(REQUEST | {"w0": [1]}, 3, ["w0", "expected 6"])


class Inspect(program.Case):
    def test_a_run_shows_tensors_and_spectra(self):
        self.train(self.folder / "run")
        weights = self.folder / "run" / "model.safetensors"
        output, _ = self.expect(0, "inspect", weights)
        self.assertIn("blocks.0.attention.qkv", output)
        self.assertIn("96x32", output)
        spectra = json.loads(self.expect(
            0, "inspect", weights, "--spectra", "--json")[0])
        row = {t["name"]: t for t in spectra["tensors"]}["blocks.0.attention.qkv"]
        self.assertGreater(row["spectrum"]["largest"], 0)
        self.assertLessEqual(row["spectrum"]["entropy"], 1)
        text, _ = self.expect(0, "inspect", weights, "--spectra")
        self.assertIn("stable rank", text)

    def test_a_cut_file_is_an_error(self):
        self.train(self.folder / "run")
        weights = self.folder / "run" / "model.safetensors"
        cut = self.folder / "cut.safetensors"
        cut.write_bytes(weights.read_bytes()[:-5])
        self.expect_error(4, ["cut.safetensors"], "inspect", cut)
        self.expect_error(4, ["none"], "inspect", self.folder / "none")


if __name__ == "__main__":
    program.main()
