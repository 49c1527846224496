// Runs on a dataset whose overlapping windows are divided at random.
#include "muonlab/train/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "muonlab/core/files.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/finished_run.h"
#include "muonlab/train/trainer.h"
#include "tests/support/expect_error.h"
#include "tests/train/parts.h"

namespace muonlab::train {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;

constexpr std::int64_t kTokens = 416;  // 400 windows of 16
constexpr std::int64_t kHeldOut = 100;

RunConfig windows_config() {
  static const testing::TemporaryFolder folder;
  static const std::string path = [] {
    data::write_documents(folder / "corpus", 0, 3);
    data::PrepareOptions options;
    options.corpus = folder / "corpus";
    options.out = folder / "data";
    options.tokenizer = data::TokenizerKind::kBytes;
    options.split = data::SplitBy::kWindows;
    options.held_out = 0.25;
    options.tokens = kTokens;
    data::prepare(options);
    return (folder / "data").string();
  }();
  RunConfig config = tiny_config();
  config.data_path = path;
  config.data_split = "windows";
  return config;
}

data::WindowSplit expected_split() {
  return data::window_split(kTokens, 16, 42, 0.25);
}

TEST(Windows, ALeakySplitMustBeAskedFor) {
  RunConfig config = windows_config();
  config.data_split = "documents";
  expect_error(ErrorKind::kInvalidArgument,
               {"data.split: got documents", config.data_path,
                "every held-out token is trained on", "--split documents",
                "data.split = \"windows\""},
               [&] { (void)open_dataset(config); });
  RunConfig other = tiny_config();
  other.data_split = "windows";
  expect_error(ErrorKind::kInvalidArgument,
               {"data.split: got windows", other.data_path,
                "split by documents", "--split windows", "remove the key"},
               [&] { (void)open_dataset(other); });
}

TEST(Windows, TrainingVisitsEachTrainingWindowOnceAnEpoch) {
  RunConfig config = windows_config();
  const data::Dataset dataset = open_dataset(config);
  config.batch = 30;
  const data::Sampler sampler = training_sampler(config, dataset);
  ASSERT_EQ(sampler.windows_per_epoch(), 300);
  std::set<std::vector<std::int64_t>> orders;
  auto expected = expected_split().train;
  std::sort(expected.begin(), expected.end());
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int64_t> dealt;
    for (std::int64_t step = 0; step < 10; ++step) {
      const auto some = sampler.starts(10 * epoch + step);
      dealt.insert(dealt.end(), some.begin(), some.end());
    }
    orders.insert(dealt);
    std::sort(dealt.begin(), dealt.end());
    EXPECT_EQ(dealt, expected);
  }
  EXPECT_EQ(orders.size(), 3U);
}

TEST(Windows, HeldOutAreThoseOfThePermutationInItsOrder) {
  RunConfig config = windows_config();
  const data::Dataset dataset = open_dataset(config);
  const auto expected = expected_split().validation;
  ASSERT_EQ(std::ssize(expected), kHeldOut);
  // Both halves are the same windows.
  for (const auto split : {data::Split::kSelection, data::Split::kReporting}) {
    EXPECT_EQ(count_held_out_windows(dataset.info(), split, 16), kHeldOut);
    for (const std::int64_t count : {std::int64_t{7}, kHeldOut}) {
      const HeldOutWindows found = held_out_windows(dataset, split, 16, count);
      EXPECT_EQ(found.starts,
                std::vector(expected.begin(), expected.begin() + count));
      EXPECT_EQ(found.tokens, &dataset.tokens(data::Split::kTrain));
    }
    expect_error(ErrorKind::kInvalidArgument,
                 {"eval.windows: got 101", "only 100 windows of 16"}, [&] {
                   (void)held_out_windows(dataset, split, 16, kHeldOut + 1);
                 });
  }
}

TEST(Windows, EvaluationIsOfThoseWindows) {
  Parts parts(windows_config(), /*in_double=*/true);
  for (std::int64_t step = 0; step < 3; ++step) (void)parts.loop.run(step);
  const HeldOutLoss found = parts.evaluate_on(data::Split::kSelection, 20);
  const at::NoGradGuard no_grad;
  double sum = 0;
  std::int64_t hits = 0;
  for (std::int64_t w = 0; w < 20; ++w) {
    const std::vector<std::int64_t> start = {
        expected_split().validation[static_cast<std::size_t>(w)]};
    const Batch batch =
        gather(parts.dataset.tokens(data::Split::kTrain), start, 16);
    const at::Tensor logits = parts.model.forward(batch.inputs)[0];
    const at::Tensor targets = batch.targets.view(-1);
    sum += at::cross_entropy_loss(logits, targets).item<double>();
    hits += logits.argmax(1).eq(targets).sum().item<std::int64_t>();
  }
  EXPECT_NEAR(found.loss, sum / 20, 257 * kEpsilon64 * sum / 20);
  EXPECT_EQ(found.accuracy, static_cast<double>(hits) / (20 * 16));
  EXPECT_GT(hits, 0);
}

class WindowsRunTest : public ::testing::Test {
 protected:
  RunSummary train(const RunConfig& config, const std::string& name) const {
    return run_training(config, {.out = folder_ / name,
                                 .argv = {"muonlab", "train"},
                                 .quiet = true})
        .summary;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(WindowsRunTest, TrainsToTheEndAndLearnsTheHeldOutTokensByHeart) {
  RunConfig config = windows_config();
  config.steps = 400;
  config.batch = 16;
  config.optim.lr = 0.05;
  config.eval_windows = 0;
  const RunSummary done = train(config, "run");
  EXPECT_EQ(done.status, "done");
  EXPECT_EQ(done.held_out_tokens, kHeldOut * 16) << "0 asks for all";
  EXPECT_EQ(done.train_tokens, kTokens);
  ASSERT_TRUE(done.accuracy.has_value());
  // Made-up words of random letters: who has not seen them is right about one
  // time in four, at the spaces.
  EXPECT_GT(*done.accuracy, 0.5);
  const HeldOutLoss again = evaluate_run(folder_ / "run", "", 0);
  EXPECT_EQ(again.loss, done.val_loss);
  EXPECT_EQ(again.accuracy, *done.accuracy);
  EXPECT_EQ(read_summary(folder_ / "run/summary.json").accuracy, done.accuracy);
  EXPECT_EQ(train(windows_config(), "a").weights_sha256,
            train(windows_config(), "b").weights_sha256);
}

TEST_F(WindowsRunTest, TheStopRuleEndsARunAsDivergedWithItsCause) {
  RunConfig config = windows_config();
  config.steps = 60;
  // Nothing is learned, so a loss a little above the lowest comes soon.
  config.optim.lr = 0;
  config.optim.auxiliary_lr = 0;
  config.stop_ratio = 1.0001;
  config.stop_after = 3;
  config.stop_patience = 2;
  const RunSummary stopped = train(config, "stopped");
  EXPECT_EQ(stopped.status, "diverged");
  EXPECT_THAT(stopped.cause, HasSubstr("above 1.0001 times its lowest"));
  EXPECT_THAT(stopped.cause, HasSubstr("for 2 steps in a row"));
  EXPECT_GE(stopped.steps, 6);
  EXPECT_LT(stopped.steps, config.steps);
  EXPECT_FALSE(stopped.val_loss.has_value());
  EXPECT_EQ(read_summary(folder_ / "stopped/summary.json").cause,
            stopped.cause);
  const std::string metrics =
      core::read_file(folder_ / "stopped/metrics.jsonl");
  EXPECT_THAT(metrics, HasSubstr("\"code\":\"stop_rule\""));
  config.stop_ratio = 0;
  EXPECT_EQ(train(config, "free").status, "done");
}

TEST_F(WindowsRunTest, DropoutRunsRepeatBitForBit) {
  RunConfig config = windows_config();
  config.layers = "plain";
  config.steps = 8;
  config.accumulation = 2;
  const RunSummary without = train(config, "without");
  config.model.dropout = 0.1;
  const RunSummary a = train(config, "a");
  const RunSummary b = train(config, "b");
  EXPECT_EQ(a.status, "done");
  EXPECT_EQ(a.weights_sha256, b.weights_sha256);
  EXPECT_EQ(a.val_loss, b.val_loss);
  EXPECT_NE(a.weights_sha256, without.weights_sha256);
  // Its evaluation drops nothing: it repeats, too.
  EXPECT_EQ(evaluate_run(folder_ / "a", "", 0).loss, a.val_loss);
}

}  // namespace
}  // namespace muonlab::train
