#include "muonlab/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "muonlab/core/files.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/optim/presets.h"
#include "muonlab/train/finished_run.h"
#include "muonlab/train/load_run.h"
#include "muonlab/train/run_folder.h"
#include "tests/support/expect_error.h"
#include "tests/train/tiny_run.h"

namespace muonlab::train {
namespace {

using formats::Json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Json> lines_of(const std::filesystem::path& path) {
  std::istringstream text(core::read_file(path));
  std::vector<Json> lines;
  for (std::string line; std::getline(text, line);)
    lines.push_back(Json::parse(line));
  return lines;
}

std::set<std::string> keys_of(const Json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

class TrainerTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<Json> metrics(const std::string& run) const {
    return lines_of(folder_ / run / "metrics.jsonl");
  }
  TrainResult train(const RunConfig& config, const std::string& name,
                    bool force = false) const {
    return run_training(config, {.out = folder_ / name,
                                 .argv = {"muonlab", "train"},
                                 .quiet = true,
                                 .force = force});
  }
  testing::TemporaryFolder folder_;
};

TEST_F(TrainerTest, TwoRunsGiveTheSameNumbersBitForBit) {
  for (const char* rule : {"muon", "muonw", "adamw"}) {
    RunConfig config = tiny_config();
    config.optim.rule = rule;
    const std::string name = rule;
    const RunSummary a = train(config, name + "-a").summary;
    const RunSummary b = train(config, name + "-b").summary;
    EXPECT_EQ(a.status, "done");
    EXPECT_EQ(a.weights_sha256, b.weights_sha256);
    EXPECT_EQ(a.weights_sha256.size(), 64U);
    EXPECT_EQ(a.val_loss, b.val_loss);
    EXPECT_TRUE(a.val_loss.has_value());
    EXPECT_EQ(a.identity, b.identity);
    EXPECT_EQ(a.initial_loss, b.initial_loss);
    config.seed = 1;
    EXPECT_NE(train(config, name + "-c").summary.weights_sha256,
              a.weights_sha256);
  }
}

TEST_F(TrainerTest, EveryRuleTrainsTheModel) {
  for (const std::string& rule : optim::preset_names()) {
    RunConfig config = tiny_config();
    config.optim.rule = rule;
    config.diagnostics_every = 0;
    const RunSummary done = train(config, rule).summary;
    EXPECT_EQ(done.status, "done") << rule << ": " << done.cause;
    EXPECT_TRUE(done.val_loss.has_value()) << rule;
  }
}

TEST_F(TrainerTest, DiagnosticsAreInTheMetricsAndChangeNothing) {
  RunConfig config = tiny_config();
  config.diagnostics_every = 2;
  config.spectra_every = 3;
  config.spectra = "*.output";
  const RunSummary watched = train(config, "watched").summary;
  config.diagnostics_every = 0;
  config.spectra_every = 0;
  config.spectra = "*";
  const RunSummary plain = train(config, "plain").summary;
  EXPECT_EQ(watched.weights_sha256, plain.weights_sha256);
  EXPECT_EQ(watched.identity, plain.identity);
  std::vector<Json> diag;
  for (const Json& line : metrics("watched")) {
    if (line["t"] == "diag") diag.push_back(line);
  }
  // Cheap ones at 1, 2, 4, 6; spectra at 1, 3, 6.
  ASSERT_EQ(diag.size(), 5U);
  const Json& first = diag[0];
  EXPECT_EQ(first["step"], 1);
  const Json& output = first["layers"]["blocks.0.attention.output"];
  for (const char* key :
       {"w_rms", "u_rms", "u_rms_expected", "angle", "w_entropy",
        "d_stable_rank", "ortho_err", "cos_adam"}) {
    EXPECT_TRUE(output.contains(key)) << key;
  }
  EXPECT_FALSE(
      first["layers"]["blocks.0.attention.qkv.query"].contains("w_entropy"));
  EXPECT_TRUE(first["layers"].contains("embedding"));
  EXPECT_EQ(first["attention_logits"]["blocks.1.attention"].size(), 2U);
  EXPECT_EQ(first["rules"]["muon"]["updates"], 8);
  EXPECT_FALSE(diag[1].contains("attention_logits")) << "a cheap one";
}

// A threshold far below the logits clips at every step; one far above never.
TEST_F(TrainerTest, QkClipTakesItsLogitsFromTheAttention) {
  RunConfig config = tiny_config();
  config.optim.rule = "muonclip";
  config.optim.lr = 0.02;
  config.diagnostics_every = 1;
  const auto clipped = [&](double threshold, const std::string& name) {
    config.optim.options.fill({{"qk_clip", threshold}});
    train(config, name);
    std::int64_t heads = 0;
    for (const Json& line : metrics(name)) {
      if (line["t"] == "diag") heads = line["clipped_heads"];
    }
    return heads;
  };
  // Of 6 steps, 2 layers and 2 heads; a head whose logits are all negative is
  // not clipped.
  const std::int64_t low = clipped(1e-6, "low");
  EXPECT_GE(low, 12);
  EXPECT_LE(low, 24);
  EXPECT_EQ(clipped(1e6, "high"), 0);
}

TEST_F(TrainerTest, NamedGroupsHaveARuleOfTheirOwn) {
  RunConfig config = tiny_config();
  config.optim.groups["down"].pattern = "*.down";
  config.optim.groups["down"].rule = "lion";
  config.optim.groups["down"].lr = 1e-3;
  train(config, "run");
  std::int64_t lion = 0;
  for (const Json& line : metrics("run")) {
    if (line["t"] == "diag") lion = line["rules"]["lion"]["updates"];
  }
  EXPECT_EQ(lion, 2) << "two layers at step 1";
  // The run folder's configuration reads back as the same run.
  EXPECT_EQ(run_identity(read_run(folder_ / "run"), "x"), [&] {
    RunConfig resolved = config;
    resolved.model.vocabulary = read_run(folder_ / "run").model.vocabulary;
    resolve(resolved);
    return run_identity(resolved, "x");
  }());
}

TEST_F(TrainerTest, AFinishedRunIsNotRunAgain) {
  const TrainResult first = train(tiny_config(), "run");
  EXPECT_FALSE(first.repeated);
  const std::string metrics = core::read_file(folder_ / "run/metrics.jsonl");
  const auto written =
      std::filesystem::last_write_time(folder_ / "run/model.safetensors");
  const TrainResult again = train(tiny_config(), "run");
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.summary.weights_sha256, first.summary.weights_sha256);
  EXPECT_EQ(again.summary.val_loss, first.summary.val_loss);
  EXPECT_EQ(core::read_file(folder_ / "run/metrics.jsonl"), metrics);
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "run/model.safetensors"),
            written);
}

TEST_F(TrainerTest, AnotherConfigurationNeedsForce) {
  const TrainResult first = train(tiny_config(), "run");
  RunConfig other = tiny_config();
  other.seed = 9;
  testing::expect_error(
      ErrorKind::kInvalidArgument,
      {(folder_ / "run").string(), "another configuration", "--force"},
      [&] { (void)train(other, "run"); });
  EXPECT_EQ(read_summary(folder_ / "run/summary.json").identity,
            first.summary.identity)
      << "the refusal touched the run";
  const TrainResult forced = train(other, "run", /*force=*/true);
  EXPECT_FALSE(forced.repeated);
  EXPECT_NE(forced.summary.identity, first.summary.identity);
  EXPECT_EQ(read_summary(folder_ / "run/summary.json").identity,
            forced.summary.identity);
}

TEST_F(TrainerTest, AnInterruptedRunInTheFolderStartsAnew) {
  RunSummary interrupted = train(tiny_config(), "run").summary;
  interrupted.status = "interrupted";
  write_summary(folder_ / "run/summary.json", interrupted);
  const TrainResult again = train(tiny_config(), "run");
  EXPECT_EQ(again.summary.status, "done");
  EXPECT_FALSE(again.repeated);
}

TEST_F(TrainerTest, AnInterruptedRunOfAnotherConfigurationNeedsForce) {
  RunSummary interrupted;
  interrupted.status = "interrupted";
  interrupted.identity = "whatever";
  std::filesystem::create_directories(folder_ / "run");
  write_summary(folder_ / "run/summary.json", interrupted);
  testing::expect_error(ErrorKind::kInvalidArgument, {"another configuration"},
                        [&] { (void)train(tiny_config(), "run"); });
  EXPECT_EQ(train(tiny_config(), "run", true).summary.status, "done");
}

TEST_F(TrainerTest, AFolderWithForeignFilesIsRefusedAndLeftAsItIs) {
  testing::write(folder_ / "run/config.toml", "mine");
  testing::expect_error(ErrorKind::kInvalidArgument, {"no run of muonlab"},
                        [&] { (void)train(tiny_config(), "run", true); });
  EXPECT_EQ(core::read_file(folder_ / "run/config.toml"), "mine");
}

TEST_F(TrainerTest, ADamagedSummaryIsReportedAndForceReplacesIt) {
  testing::write(folder_ / "run/summary.json",
                 "{\"schema\": 1, \"status\": \"do");
  testing::expect_error(ErrorKind::kCorruptData, {"summary.json"},
                        [&] { (void)train(tiny_config(), "run"); });
  EXPECT_EQ(train(tiny_config(), "run", true).summary.status, "done");
}

TEST_F(TrainerTest, MetricsHaveTheDocumentedKeys) {
  RunConfig config = tiny_config();
  config.eval_every = 2;
  const RunSummary summary = train(config, "run").summary;
  const auto lines = lines_of(folder_ / "run/metrics.jsonl");
  std::vector<std::string> kinds;
  for (const Json& line : lines) {
    const std::string kind = line.at("t");
    kinds.push_back(kind);
    if (kind == "start") {
      EXPECT_EQ(keys_of(line),
                (std::set<std::string>{"t", "run", "config_hash", "time"}));
      EXPECT_EQ(line.at("config_hash"), summary.identity);
    } else if (kind == "train") {
      EXPECT_EQ(keys_of(line),
                (std::set<std::string>{"t", "step", "tokens", "flops", "loss",
                                       "gnorm", "clipped", "lr", "dt", "dt_fwd",
                                       "dt_bwd", "dt_opt", "tok_s", "wall"}));
      EXPECT_EQ(keys_of(line.at("lr")),
                (std::set<std::string>{"hidden", "auxiliary"}));
      EXPECT_EQ(line.at("tokens"),
                line.at("step").get<std::int64_t>() * 8 * 16);
    } else if (kind == "eval") {
      EXPECT_EQ(
          keys_of(line),
          (std::set<std::string>{"t", "step", "tokens", "split", "val_loss",
                                 "bpb", "accuracy", "n_tokens", "se", "wall"}));
      EXPECT_EQ(line.at("split"), "reporting");
      EXPECT_EQ(line.at("n_tokens"), 24 * 16);
    } else if (kind == "diag") {
      EXPECT_EQ(keys_of(line),
                (std::set<std::string>{"t", "step", "layers", "rules",
                                       "clipped_heads", "clipped_steps"}));
    } else {
      EXPECT_EQ(keys_of(line),
                (std::set<std::string>{"t", "status", "cause", "val_loss",
                                       "weights_sha256"}));
      EXPECT_EQ(line.at("status"), "done");
      EXPECT_EQ(line.at("val_loss"), *summary.val_loss);
    }
  }
  EXPECT_THAT(kinds,
              ElementsAre("start", "train", "diag", "train", "eval", "train",
                          "train", "eval", "train", "train", "eval", "end"));
  // Six steps: warm-up of one, descent over three.
  EXPECT_EQ(lines.at(1).at("lr").at("hidden"), 0.02);
  EXPECT_EQ(lines.at(1).at("lr").at("auxiliary"), 8e-3);
}

TEST_F(TrainerTest, TheFolderTellsEverythingAboutTheRun) {
  RunConfig config = tiny_config();
  config.optim.rule = "muonw";
  const RunSummary summary = train(config, "run").summary;
  for (const char* name :
       {"config.toml", "config.json", "env.json", "metrics.jsonl", "log.txt",
        "model.safetensors", "summary.json"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / "run" / name)) << name;
  }
  // config.toml alone repeats the run.
  const RunConfig back = read_run_config(folder_ / "run/config.toml");
  EXPECT_EQ(train(back, "back").summary.identity, summary.identity);
  EXPECT_EQ(read_summary(folder_ / "back/summary.json").weights_sha256,
            summary.weights_sha256);
  const Json env = formats::read_json(folder_ / "run/env.json");
  EXPECT_THAT(env.dump(), HasSubstr("\"train\""));
  const std::string log = core::read_file(folder_ / "run/log.txt");
  EXPECT_THAT(log, HasSubstr("step 6/6"));
  EXPECT_THAT(log, HasSubstr(" ms (opt "));
  if (linalg::packed_schedule({})) {
    EXPECT_THAT(log, HasSubstr("polar factors at least "));
    EXPECT_THAT(log, HasSubstr("% of the measured peak"));
  }
  // And its weights give the loss that the summary names.
  const HeldOutLoss loss = evaluate_run(folder_ / "run", "", 0);
  EXPECT_EQ(loss.loss, summary.val_loss);
  EXPECT_EQ(loss.bits_per_byte, summary.bits_per_byte);
  EXPECT_EQ(loss.tokens, summary.held_out_tokens);
  EXPECT_EQ(evaluate_run(folder_ / "run", "train", 3).split, "train");
}

TEST_F(TrainerTest, ADivergedRunIsWholeAndNamesItsCause) {
  RunConfig config = tiny_config();
  config.optim.lr = 1e30;
  config.optim.auxiliary_lr = 1e30;
  const RunSummary summary = train(config, "run").summary;
  EXPECT_EQ(summary.status, "diverged");
  EXPECT_THAT(summary.cause, HasSubstr("loss"));
  EXPECT_FALSE(summary.val_loss.has_value());
  EXPECT_LT(summary.steps, config.steps);
  EXPECT_NEAR(summary.initial_loss, std::log(257), 0.5);
  const RunSummary back = read_summary(folder_ / "run/summary.json");
  EXPECT_EQ(back.cause, summary.cause);
  const auto lines = lines_of(folder_ / "run/metrics.jsonl");
  EXPECT_EQ(lines.back().at("status"), "diverged");
  bool warned = false;
  for (const Json& line : lines)
    warned = warned || line.value("code", "") == "non_finite";
  EXPECT_TRUE(warned);
  EXPECT_TRUE(train(config, "run").repeated) << "a diverged run is a result";
}

TEST_F(TrainerTest, DumpWritesTheStartAndTheOrder) {
  TrainRequest request;
  request.out = folder_ / "run";
  request.quiet = true;
  request.dump = true;
  (void)run_training(tiny_config(), request);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/initial.safetensors"));
  // An int64 for each of 6 steps of 8 sequences, after the header.
  EXPECT_GT(std::filesystem::file_size(folder_ / "run/windows.safetensors"),
            6U * 8U * 8U);
}

TEST_F(TrainerTest, TooManyHeldOutWindowsAreRefusedBeforeTheRun) {
  RunConfig config = tiny_config();
  config.eval_windows = 1'000'000;
  testing::expect_error(ErrorKind::kInvalidArgument,
                        {"eval.windows", "1000000", "reporting"},
                        [&] { (void)train(config, "run"); });
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(TrainerTest, DryRunWritesNothing) {
  const Json plan = dry_run(tiny_config());
  EXPECT_EQ(plan.at("tokens"), 6 * 8 * 16);
  EXPECT_EQ(plan.at("steps"), 6);
  // Two blocks of q, k, v, o (16 x 16) and three feed-forward matrices.
  EXPECT_EQ(plan.at("parameters").at("hidden"),
            2 * (4 * 16 * 16 + 3 * 16 * 24));
  EXPECT_EQ(plan.at("config").at("model").at("vocabulary"), 257);
  EXPECT_EQ(plan.at("identity"), train(tiny_config(), "run").summary.identity);
}

TEST(Summary, ComesBackFromItsFileWithNonFiniteNumbers) {
  const testing::TemporaryFolder folder;
  RunSummary s;
  s.status = "diverged";
  s.cause = "the loss is \"nan\"\n";
  s.identity = "abc";
  s.steps = 7;
  s.tokens = 896;
  s.flops = 1e18;
  s.initial_loss = kNan;
  s.val_loss = kInfinity;
  s.bits_per_byte = -kInfinity;
  s.accuracy = 0.3;
  s.split = "selection";
  s.held_out_tokens = 3;
  s.train_tokens = 5;
  s.parameters = 11;
  s.hidden_parameters = 10;
  s.clipped_share = 0.1;
  s.train_seconds = 1.0 / 3;
  s.eval_seconds = 2;
  s.peak_memory_bytes = 1e9;
  s.step_seconds = {0.1, 0.2, 0.3, 0.4};
  s.weights_sha256 = "def";
  write_summary(folder / "summary.json", s);
  const RunSummary back = read_summary(folder / "summary.json");
  EXPECT_EQ(back.status, s.status);
  EXPECT_EQ(back.cause, s.cause);
  EXPECT_EQ(back.identity, s.identity);
  EXPECT_EQ(back.steps, s.steps);
  EXPECT_EQ(back.tokens, s.tokens);
  EXPECT_EQ(back.flops, s.flops);
  EXPECT_TRUE(std::isnan(back.initial_loss));
  EXPECT_EQ(back.val_loss, s.val_loss);
  EXPECT_EQ(back.bits_per_byte, s.bits_per_byte);
  EXPECT_FALSE(back.standard_error.has_value());
  EXPECT_EQ(back.accuracy, 0.3);
  EXPECT_EQ(back.split, s.split);
  EXPECT_EQ(back.held_out_tokens, s.held_out_tokens);
  EXPECT_EQ(back.train_tokens, s.train_tokens);
  EXPECT_EQ(back.parameters, s.parameters);
  EXPECT_EQ(back.hidden_parameters, s.hidden_parameters);
  EXPECT_EQ(back.clipped_share, s.clipped_share);
  EXPECT_EQ(back.train_seconds, s.train_seconds);
  EXPECT_EQ(back.eval_seconds, s.eval_seconds);
  EXPECT_EQ(back.peak_memory_bytes, s.peak_memory_bytes);
  EXPECT_EQ(back.step_seconds.forward, 0.1);
  EXPECT_EQ(back.step_seconds.backward, 0.2);
  EXPECT_EQ(back.step_seconds.optimizer, 0.3);
  EXPECT_EQ(back.step_seconds.other, 0.4);
  EXPECT_EQ(back.weights_sha256, s.weights_sha256);
}

TEST(Summary, DamageIsNamed) {
  const testing::TemporaryFolder folder;
  const auto path = folder / "summary.json";
  write_summary(path, RunSummary{});
  Json json = formats::read_json(path);
  for (const std::string& key : keys_of(json)) {
    if (key == "accuracy") continue;  // runs of before it was taken lack it
    Json without = json;
    without.erase(key);
    formats::write_json(path, without);
    testing::expect_error(ErrorKind::kCorruptData, {"summary.json", key},
                          [&] { (void)read_summary(path); });
  }
  json["flops"] = "many";
  formats::write_json(path, json);
  testing::expect_error(ErrorKind::kCorruptData, {"flops"},
                        [&] { (void)read_summary(path); });
  json["schema"] = 2;
  formats::write_json(path, json);
  testing::expect_error(ErrorKind::kUnsupported, {"summary.json", "schema 2"},
                        [&] { (void)read_summary(path); });
  testing::expect_error(ErrorKind::kIo, {"missing.json"},
                        [&] { (void)read_summary(folder / "missing.json"); });
}

}  // namespace
}  // namespace muonlab::train
