"""What the verbs print, and the exit codes of bad input."""

import json
import struct
import subprocess

import program
from program import Case, summary

VERBS = [
    [], ["data"], ["data", "prepare"], ["data", "inspect"], ["tokenizer"],
    ["tokenizer", "train"], ["tokenizer", "encode"], ["tokenizer", "decode"],
    ["train"], ["eval"], ["sample"], ["study"], ["study", "plan"],
    ["study", "run"], ["study", "status"], ["study", "report"], ["optim"],
    ["optim", "list"], ["optim", "route"], ["polar"], ["bench"]]


class HelpTest(Case):
    def test_every_verb_explains_itself(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                output, errors = self.expect(0, *verb, "--help")
                self.assertIn("--help", output)
                self.assertEqual(errors, "")

    def test_exit_codes_are_documented(self):
        output, _ = self.expect(0, "--help")
        for words in ("2 usage", "3 configuration", "4 data and files",
                      "5 diverged", "6 interrupted", "7 not supported",
                      "70 internal"):
            self.assertIn(words, output)

    def test_train_lists_every_key_with_its_default(self):
        output, _ = self.expect(0, "train", "--help")
        for words in ("[optim.auxiliary]", "steps = 240", "clip = 1.0",
                      "rule = \"muon\"", "weight_decay = 0.0"):
            self.assertIn(words, output)


class UsageTest(Case):
    def test_wrong_command_lines_end_with_2(self):
        for arguments in ([], ["trian"], ["train"], ["train", "--colour", "red"],
                          ["train", self.config, "extra"], ["study"],
                          ["study", "rum", self.config], ["eval"],
                          ["eval", "x", "--windows", "0"],
                          ["eval", "x", "--windows", "many"],
                          ["sample", "x", "--tokens", "3x"],
                          ["study", "run", self.config, "--jobs", "-1"],
                          ["data", "prepare", self.corpus],
                          ["data", "prepare", self.corpus, "--out", "x",
                           "--tokenizer", "words"]):
            with self.subTest(arguments=arguments):
                self.expect_error(2, ["hint: "], *arguments)


class ConfigurationTest(Case):
    def refuse(self, words, *settings, text=None):
        config = self.config
        if text is not None:
            config = self.folder / "bad.toml"
            config.write_text(text)
        arguments = ["train", config, "--out", self.folder / "run"]
        for setting in settings:
            arguments += ["--set", setting]
        self.expect_error(3, words, *arguments)
        self.assertFalse((self.folder / "run").exists())

    def test_an_unknown_key_is_named_with_its_line_and_the_nearest(self):
        self.refuse(["bad.toml:3", "train.stpes", "did you mean 'train.steps'?",
                     "hint: "], text="[train]\nbatch = 4\nstpes = 3\n")
        self.refuse(["--set", "optim.momentun", "'optim.momentum'"],
                    "optim.momentun=0.9")

    def test_values_out_of_range_are_named(self):
        self.refuse(["lr", "-0.001"], "optim.lr=-0.001")
        self.refuse(["optim.auxiliary", "lr", "-1"], "optim.auxiliary.lr=-1")
        self.refuse(["train.steps", "0"], "train.steps=0")
        self.refuse(["train.accumulation", "3"], "train.accumulation=3")
        self.refuse(["model.heads", "5"], "model.heads=5")
        self.refuse(["muno", "muon"], "optim.rule=muno")
        self.refuse(["optim.momentum", "adamw"], "optim.rule=adamw",
                    "optim.momentum=0.9")
        self.refuse(["eval.windows", "999999", "reporting"], "eval.windows=999999")
        self.refuse(["model.vocabulary", "300", "257"], "model.vocabulary=300")
        self.refuse(["train.layers", "fast", "fused or plain"], "train.layers=fast")
        self.refuse(["train.precision", "bfloat", "did you mean 'bfloat16'?"],
                    "train.precision=bfloat")
        self.refuse(["train.precision", "bfloat16", "plain"],
                    "train.precision=bfloat16", "train.layers=plain")
        self.refuse(["train.checkpointing", "plain"],
                    "train.checkpointing=true", "train.layers=plain")

    def test_wrong_types_and_bad_toml_are_named_with_their_line(self):
        self.refuse(["bad.toml:2", "train.steps", "a whole number"],
                    text="[train]\nsteps = \"many\"\n")
        self.refuse(["bad.toml:2", "not valid TOML"], text="[train]\nsteps = = 3\n")
        self.refuse(["--set", "KEY=VALUE"], "train.steps")

    def test_a_missing_configuration_is_a_file_error(self):
        self.expect_error(4, ["missing.toml", "No such file"], "train",
                          self.folder / "missing.toml")
        self.expect_error(4, [self.folder], "train", self.folder)

    def test_a_plan_is_refused_with_file_and_line(self):
        plan = self.folder / "plan.toml"
        text = program.SMOKE.read_text()
        arm = text.index('[[study.arms]]\nname = "adamw"\n')
        header = text[:arm].count("\n") + 1
        plan.write_text(text.replace("hidden = [4e-3, 8e-3]", "hiden = [4e-3]"))
        self.expect_error(3, [f"plan.toml:{header}", "hiden", "'hidden'"],
                          "study", "plan", plan)
        plan.write_text(text.replace("hidden = [4e-3, 8e-3]", "hidden = [-4e-3]"))
        self.expect_error(3, [f"plan.toml:{header}", "-0.004", "above 0"],
                          "study", "run", plan)
        plan.write_text(text.replace('baseline = "adamw"', 'baseline = "adamx"'))
        self.expect_error(3, ["study.baseline", "adamx", "'adamw'"],
                          "study", "run", plan)
        self.expect_error(3, ["[study]", "muonlab train"], "study", "run",
                          self.config)

    def test_a_plan_refuses_what_would_have_no_effect_or_spoil_it(self):
        text = program.SMOKE.read_text()
        plan = self.folder / "plan.toml"
        plan.write_text(text)
        for key in ("train.seed=7", "optim.lr=0.1", "train.threads=2",
                    "eval.split=train", "optim.rule=muon"):
            self.expect_error(3, ["--set", key.split("=")[0], "no effect"],
                              "study", "plan", plan, "--set", key)
        for setting in ("train.steps = 480", 'data.path = "x"'):
            plan.write_text(text.replace(
                'description = "Muon"\n',
                'description = "Muon"\nset = { ' + setting + " }\n"))
            self.expect_error(3, ["plan.toml:", setting.split()[0], "[optim]"],
                              "study", "plan", plan)
        plan.write_text(text.replace('name = "smoke"', 'name = ".."'))
        self.expect_error(3, ["study.name", ".."], "study", "plan", plan)

    def test_results_that_cannot_be_written_are_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([program.MUONLAB, "optim", "list"],
                                  stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 4)
        self.assertIn("stdout", done.stderr)


class TrainTest(Case):
    def test_a_run_says_what_it_did_and_is_not_repeated(self):
        run = self.folder / "run"
        output, _ = self.train(run)
        self.assertRegex(output, r"done: held-out loss \d\.\d{4} nats per token, "
                                 r"\d\.\d{4} bits per byte \(reporting half\)")
        self.assertIn(f"run: {run}", output)
        before = (run / "metrics.jsonl").read_bytes()
        output, _ = self.train(run)
        self.assertIn("already done, nothing to do", output)
        self.assertEqual((run / "metrics.jsonl").read_bytes(), before)

    def test_two_runs_give_the_same_weights(self):
        self.train(self.folder / "a")
        self.train(self.folder / "b")
        a, b = summary(self.folder / "a"), summary(self.folder / "b")
        self.assertEqual(a["weights_sha256"], b["weights_sha256"])
        self.assertEqual(a["val_loss"], b["val_loss"])
        self.assertEqual((self.folder / "a/model.safetensors").read_bytes(),
                         (self.folder / "b/model.safetensors").read_bytes())

    def test_layers_and_precision_change_the_last_digits_alone(self):
        runs = {}
        for name, sets in {"fused": [], "plain": ["train.layers=plain"],
                           "bfloat16": ["train.precision=bfloat16"],
                           "checkpointing": ["train.checkpointing=true"]}.items():
            run = self.folder / name
            self.expect(0, "train", self.config, "--quiet", "--out", run,
                        *[word for s in sets for word in ("--set", s)])
            runs[name] = summary(run)
        losses = {name: run["val_loss"] for name, run in runs.items()}
        self.assertAlmostEqual(losses["plain"], losses["fused"], delta=1e-5)
        self.assertAlmostEqual(losses["bfloat16"], losses["fused"], delta=0.02)
        self.assertEqual(runs["checkpointing"]["weights_sha256"],
                         runs["fused"]["weights_sha256"])
        for other in ("plain", "bfloat16"):
            self.assertNotEqual(runs[other]["weights_sha256"],
                                runs["fused"]["weights_sha256"])
        self.assertEqual(len({run["identity"] for run in runs.values()}), 4)

    def test_a_profile_has_every_part_and_its_sum(self):
        run = self.folder / "run"
        _, errors = self.expect(0, "train", self.config, "--profile", "--out", run)
        for part in ("products, weight gradient", "attention, backward",
                     "cross-entropy", "optimizer", "rest", "step, all threads"):
            self.assertIn(part, errors)
        lines = [json.loads(line) for line in
                 (run / "metrics.jsonl").read_text().splitlines()]
        profile = next(line for line in lines if line["t"] == "profile")
        self.assertEqual(profile["steps"], 8)
        total = sum(part["seconds"] for part in profile["parts"].values())
        self.assertAlmostEqual(total, profile["step_seconds"],
                               delta=1e-9 + 1e-6 * total)
        self.assertGreater(profile["parts"]["rest"]["seconds"], 0)
        self.expect_error(3, ["--profile", "plain"], "train", self.config,
                          "--profile", "--set", "train.layers=plain", "--out",
                          self.folder / "other")

    def test_another_run_in_the_folder_needs_force(self):
        run = self.folder / "run"
        self.train(run)
        before = summary(run)
        self.expect_error(3, [run, "another configuration", "--force"], "train",
                          self.config, "--out", run, "--set", "train.seed=4")
        self.assertEqual(summary(run), before)
        self.expect(0, "train", self.config, "--out", run, "--set",
                    "train.seed=4", "--force", "--quiet")
        self.assertNotEqual(summary(run)["weights_sha256"],
                            before["weights_sha256"])

    def test_progress_goes_to_stderr_and_results_to_stdout(self):
        output, errors = self.expect(0, "train", self.config, "--out",
                                     self.folder / "run")
        self.assertIn("step 8/8", errors)
        self.assertNotIn("step 8/8", output)
        self.assertNotIn("\r", errors, "no terminal, no rewritten lines")
        _, errors = self.train(self.folder / "quiet")
        self.assertEqual(errors, "")

    def test_the_default_folder_is_named_by_rule_hash_and_seed(self):
        self.expect(0, "train", self.config, "--quiet", cwd=self.folder)
        runs = list((self.folder / "runs").iterdir())
        self.assertEqual(len(runs), 1)
        identity = summary(runs[0])["identity"]
        self.assertEqual(runs[0].name, f"muon-{identity[:8]}-s0")

    def test_dry_run_trains_and_writes_nothing(self):
        output, _ = self.expect(0, "train", self.config, "--dry-run",
                                cwd=self.folder)
        plan = json.loads(output)
        self.assertEqual(plan["tokens"], 8 * 4 * 32)
        self.assertEqual(plan["config"]["model"]["vocabulary"], 257)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_routing_names_every_parameter(self):
        output, _ = self.expect(0, "optim", "route", self.config, "--json")
        rows = json.loads(output)
        text = json.dumps(rows)
        self.assertIn('"muon"', text)
        self.assertIn('"adamw"', text)
        output, _ = self.expect(0, "optim", "list")
        for rule in ("muon", "muonw", "adamw"):
            self.assertIn(rule, output)


class FinishedRunTest(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.finished = cls.shared / "run"
        code, _, errors = program.run("train", cls.config, "--out", cls.finished,
                                      "--quiet")
        assert code == 0, errors

    def test_eval_repeats_the_runs_own_loss(self):
        output, _ = self.expect(0, "eval", self.finished, "--json",
                                env={"OMP_NUM_THREADS": "1"})
        found = json.loads(output)
        known = summary(self.finished)
        self.assertEqual(found["val_loss"], known["val_loss"])
        self.assertEqual(found["bpb"], known["bpb"])
        self.assertEqual(found["split"], "reporting")
        output, _ = self.expect(0, "eval", self.finished, "--split",
                                "selection", "--windows", "4")
        self.assertIn("128 tokens of the selection half", output)
        self.expect_error(3, ["split", "test"], "eval", self.finished,
                          "--split", "test")

    def test_sample_is_a_function_of_the_seed(self):
        arguments = ["sample", self.finished, "--prompt", "Speech 3",
                     "--tokens", "30"]
        once, _ = self.expect(0, *arguments)
        self.assertTrue(once.startswith("Speech 3"))
        self.assertEqual(self.expect(0, *arguments)[0], once)
        self.assertNotEqual(self.expect(0, *arguments, "--seed", "1")[0], once)
        self.expect_error(3, ["temperature", "-1"], *arguments,
                          "--temperature=-1")

    def test_a_folder_that_is_no_run_is_named(self):
        for verb in ("eval", "sample"):
            self.expect_error(4, [self.folder, "config.toml"], verb, self.folder)
            self.expect_error(4, ["nowhere"], verb, self.folder / "nowhere")


class OwnTextTest(Case):
    def three_commands(self, *tokenizer):
        data, run = self.folder / "data", self.folder / "run"
        self.expect(0, "data", "prepare", self.corpus, "--out", data,
                    "--held-out", "0.3", *tokenizer)
        self.expect(0, "train", self.config, "--set", f"data.path={data}",
                    "--out", run, "--quiet")
        output, _ = self.expect(0, "sample", run, "--prompt", "Speech",
                                "--tokens", "20")
        self.assertTrue(output.startswith("Speech"))
        return data, run

    def test_as_raw_bytes(self):
        _, run = self.three_commands("--tokenizer", "bytes")
        # Every token that is no separator stands for one byte.
        found = json.loads(self.expect(0, "eval", run, "--json")[0])
        self.assertLessEqual(found["n_bytes"], found["n_tokens"])
        self.assertGreater(found["n_bytes"], 0.98 * found["n_tokens"])

    def test_as_bpe(self):
        data, run = self.three_commands("--vocabulary", "300")
        found = json.loads(self.expect(0, "eval", run, "--json")[0])
        self.assertGreater(found["n_bytes"], found["n_tokens"])
        output, _ = self.expect(0, "data", "inspect", data, "--json")
        self.assertEqual(json.loads(output)["tokenizer"]["vocabulary"], 300)
        output, _ = self.expect(0, "data", "prepare", self.corpus, "--out", data,
                                "--held-out", "0.3", "--vocabulary", "300")
        self.assertIn("already there", output)

    def test_a_stream_split_by_windows_says_what_was_cut(self):
        data = self.folder / "data"
        arguments = ["data", "prepare", self.corpus, "--out", data, "--split",
                     "windows", "--tokenizer", "bytes", "--no-separator",
                     "--documents", "20", "--characters", "100"]
        output, _ = self.expect(0, *arguments, "--tokens", "1500")
        for line in ("windows/mt19937/seed=42/held_out=0.1",
                     "no separators", "135 documents left out",
                     "each document was cut to 100", "500 tokens left out"):
            self.assertIn(line, output)
        self.assertNotIn("reporting", output)
        self.assertEqual(self.expect(0, "data", "inspect", data)[0].count("left out"), 3)
        found = json.loads(self.expect(0, "data", "inspect", data, "--json")[0])
        self.assertEqual(found["splits"]["train"]["n_tokens"], 1500)
        self.assertEqual(found["splits"]["selection"]["n_tokens"], 0)
        self.assertEqual(found["cut"]["dropped_tokens"], 500)
        output, _ = self.expect(0, *arguments, "--tokens", "9000", "--force")
        self.assertIn("fewer than the 9,000 tokens asked for: all 2,000", output)

    def test_a_tokenizer_comes_from_a_file(self):
        made, data = self.folder / "made", self.folder / "data"
        self.expect(0, "data", "prepare", self.corpus, "--out", made,
                    "--held-out", "0.3", "--vocabulary", "280")
        file = made / "tokenizer.json"
        arguments = ["data", "prepare", self.corpus, "--out", data,
                     "--held-out", "0.3", "--tokenizer"]
        self.expect(0, *arguments, file)
        self.assertEqual((data / "train_000000.bin").read_bytes(),
                         (made / "train_000000.bin").read_bytes())
        self.expect_error(3, ["--vocabulary: got 300", "its own"],
                          *arguments, file, "--vocabulary", "300")
        self.expect_error(4, ["missing.gguf"], *arguments,
                          self.folder / "missing.gguf")
        self.expect_error(3, ["tokens: got 50", "--split windows"],
                          *arguments, file, "--tokens", "50")

    def test_bad_corpora_and_options_are_named(self):
        self.expect_error(4, ["nowhere"], "data", "prepare",
                          self.folder / "nowhere", "--out", self.folder / "data")
        (self.folder / "empty").mkdir()
        self.expect_error(3, ["empty"], "data", "prepare", self.folder / "empty",
                          "--out", self.folder / "data")
        self.expect_error(3, ["held", "1.5"], "data", "prepare", self.corpus,
                          "--out", self.folder / "data", "--held-out", "1.5")
        lines = self.folder / "bad.jsonl"
        lines.write_text('{"text": "a"}\n{"text": \n')
        self.expect_error(4, ["bad.jsonl", "line 2"], "data", "prepare", lines, "--out",
                          self.folder / "data")
        self.assertFalse((self.folder / "data").exists())


def small_gguf(pre):
    """A GGUF file with a tokenizer and one tensor of 8 values."""
    def text(value):
        raw = value.encode()
        return struct.pack("<Q", len(raw)) + raw

    def strings(values):
        return struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values))

    # GPT-2's characters for the bytes: these, then 68 from U+0100 on.
    printable = [*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    tokens = ["<|endoftext|>", *map(chr, printable),
              *(chr(0x100 + i) for i in range(68)), "he", "10"]
    types = [3] + [1] * (len(tokens) - 1)
    pairs = [("tokenizer.ggml.model", 8, text("gpt2")),
             ("tokenizer.ggml.pre", 8, text(pre)),
             ("tokenizer.ggml.tokens", 9, strings(tokens)),
             ("tokenizer.ggml.token_type", 9,
              struct.pack(f"<IQ{len(types)}i", 5, len(types), *types)),
             ("tokenizer.ggml.merges", 9, strings(["h e", "1 0"]))]
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs))
    for key, kind, value in pairs:
        head += text(key) + struct.pack("<I", kind) + value
    head += text("weight") + struct.pack("<IQIQ", 1, 8, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(8 * 4)


class GgufTest(Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "small.gguf"
        self.file.write_bytes(small_gguf("smollm"))

    def test_inspect_says_what_it_holds_and_whether_it_is_whole(self):
        output, _ = self.expect(0, "inspect", self.file)
        for words in ("GGUF version 3", "259 tokens, 2 merges, pre smollm",
                      "tokenizer.ggml.model: gpt2", "F32", "1 tensors; the file is whole"):
            self.assertIn(words, output)
        self.file.write_bytes(small_gguf("qwen2")[:-1])
        output, _ = self.expect(0, "inspect", self.file)
        self.assertIn("not whole: tensor 'weight'", output)
        self.assertIn("not usable here", output)
        found = json.loads(self.expect(0, "inspect", self.file, "--json")[0])
        self.assertFalse(found["whole"])
        self.assertFalse(found["tokenizer"]["usable"])
        self.expect_error(3, ["--spectra", "small.gguf"], "inspect", self.file,
                          "--spectra")
        self.file.write_bytes(small_gguf("smollm")[:100])
        self.expect_error(4, ["small.gguf", "at byte"], "inspect", self.file)

    def test_its_tokenizer_makes_datasets(self):
        data = self.folder / "data"
        (self.folder / "text.txt").write_text("he 10")
        arguments = ["data", "prepare", self.folder / "text.txt", "--out", data,
                     "--split", "windows", "--tokenizer", self.file]
        output, _ = self.expect(0, *arguments)
        self.assertIn("bpe, 259 tokens", output)
        # Separator, "he", blank, and each digit by itself.
        self.assertEqual(
            struct.unpack("<5H", (data / "train_000000.bin").read_bytes()[1024:])[:2],
            (0, 257))
        self.assertIn("already there", self.expect(0, *arguments)[0])
        self.file.write_bytes(small_gguf("gpt-2"))
        self.expect_error(3, ["other settings", "--force"], *arguments)


if __name__ == "__main__":
    program.main()
