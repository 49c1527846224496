// What is dropped is a function of the seed and the place in the run.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/train/parts.h"

namespace muonlab::train {
namespace {

// One window alone, so that every step and micro-batch sees the same text, and
// no rates, so that the weights stay: losses differ by what is dropped alone.
RunConfig one_window_config() {
  static const testing::TemporaryFolder folder;
  static const std::string path = [] {
    data::write_documents(folder / "corpus", 0, 1);
    data::PrepareOptions options;
    options.corpus = folder / "corpus";
    options.out = folder / "data";
    options.tokenizer = data::TokenizerKind::kBytes;
    // Two windows of 32 tokens, of which one is trained on.
    options.split = data::SplitBy::kWindows;
    options.held_out = 0.5;
    options.tokens = 34;
    data::prepare(options);
    return (folder / "data").string();
  }();
  RunConfig config = tiny_config();
  config.data_path = path;
  config.data_split = "windows";
  config.model.context = 32;
  config.model.dropout = 0.2;
  config.optim.lr = 0;
  config.optim.auxiliary_lr = 0;
  config.layers = "plain";
  config.batch = 1;
  config.eval_windows = 1;
  return config;
}

class DropoutTest : public ::testing::Test {
 protected:
  static double loss_of(const RunConfig& config, std::int64_t step) {
    Parts parts(config);
    return parts.loop.run(step).loss;
  }
  RunConfig config_ = one_window_config();
};

TEST_F(DropoutTest, TheSameStepHasTheSameLossWhateverRanBefore) {
  Parts parts(config_);
  ASSERT_EQ(parts.loop.starts(0), parts.loop.starts(3)) << "two windows";
  const std::string weights = parts.weights();
  const double first = parts.loop.run(0).loss;
  const double second = parts.loop.run(1).loss;
  EXPECT_NE(first, second);
  EXPECT_EQ(parts.weights(), weights) << "rates of zero moved a weight";
  (void)at::rand({100});  // another user of LibTorch's generator
  EXPECT_EQ(parts.loop.run(1).loss, second);
  EXPECT_EQ(parts.loop.run(0).loss, first);
  EXPECT_EQ(loss_of(config_, 1), second);
}

TEST_F(DropoutTest, MicroBatchesDropDifferentValues) {
  const double one = loss_of(config_, 0);
  config_.batch = 2;
  config_.accumulation = 2;
  // Its first micro-batch is the batch of one.
  EXPECT_NE(loss_of(config_, 0), one);
  // Without dropout both are the same window.
  config_.model.dropout = 0;
  const double both = loss_of(config_, 0);
  config_.batch = 1;
  config_.accumulation = 1;
  EXPECT_EQ(loss_of(config_, 0), both);
}

TEST_F(DropoutTest, AnotherSeedDropsOtherValues) {
  // The same weights under both seeds: that of the run decides draws alone.
  Parts a(config_);
  config_.seed = 1;
  Parts b(config_);
  {
    const at::NoGradGuard no_grad;
    auto to = b.model.named_parameters();
    for (const auto& item : a.model.named_parameters()) {
      to[item.key()].copy_(item.value());
    }
  }
  ASSERT_EQ(a.weights(), b.weights());
  EXPECT_NE(a.loop.run(0).loss, b.loop.run(0).loss);
}

TEST(DropoutEvaluation, DropsNothing) {
  RunConfig config = tiny_config();
  config.layers = "plain";
  Parts plain(config);
  config.model.dropout = 0.5;
  Parts dropping(config);
  const HeldOutLoss expected = plain.evaluate_on(data::Split::kReporting, 10);
  for (int repeat = 0; repeat < 2; ++repeat) {
    const HeldOutLoss found = dropping.evaluate_on(data::Split::kReporting, 10);
    EXPECT_EQ(found.loss, expected.loss);
    EXPECT_EQ(found.accuracy, expected.accuracy);
  }
}

}  // namespace
}  // namespace muonlab::train
