#include "muonlab/train/evaluate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "muonlab/train/sample.h"
#include "tests/support/expect_error.h"
#include "tests/train/parts.h"

namespace muonlab::train {
namespace {

// Held-out loss, standard error and bits per byte, window by window in float64
// from the model's own logits.
struct PlainEvaluation : HeldOutLoss {
  std::int64_t hits = 0;   // targets whose logit is the first of the largest
  std::int64_t close = 0;  // whose logit is as near to the best other's as
                           // rounding, relative to the largest, may bring them
};

PlainEvaluation plain_evaluation(const Parts& parts, std::int64_t windows,
                                 double rounding) {
  const at::NoGradGuard no_grad;
  const auto& tokens = parts.dataset.tokens(data::Split::kSelection);
  const auto context = static_cast<std::size_t>(parts.config.model.context);
  std::vector<double> means;
  PlainEvaluation result;
  for (std::int64_t w = 0; w < windows; ++w) {
    const auto start = static_cast<std::size_t>(w) * context;
    std::vector<std::int64_t> window(
        tokens.begin() + static_cast<std::ptrdiff_t>(start),
        tokens.begin() + static_cast<std::ptrdiff_t>(start + context));
    const at::Tensor logits =
        parts.model.forward(linalg::tensor_of(window).view({1, -1}))
            .to(at::kDouble);
    const auto values = linalg::values_of(logits);
    const std::size_t vocabulary = values.size() / context;
    const double doubt = 2 * rounding * logits.abs().max().item<double>();
    double sum = 0;
    for (std::size_t t = 0; t < context; ++t) {
      double total = 0;
      for (std::size_t v = 0; v < vocabulary; ++v) {
        total += std::exp(values[t * vocabulary + v]);
      }
      const auto target = static_cast<std::size_t>(tokens[start + t + 1]);
      const double own = values[t * vocabulary + target];
      double other = -kInfinity;
      bool ahead = true;
      for (std::size_t v = 0; v < vocabulary; ++v) {
        const double value = values[t * vocabulary + v];
        if (v == target) continue;
        other = std::max(other, value);
        ahead = ahead && (v < target ? value < own : value <= own);
      }
      result.hits += ahead ? 1 : 0;
      result.close += std::abs(own - other) <= doubt ? 1 : 0;
      sum += std::log(total) - values[t * vocabulary + target];
      result.bytes += target < 256 ? 1 : 0;  // the byte tokenizer's separator
    }
    means.push_back(sum / static_cast<double>(context));
    result.loss += means.back() / static_cast<double>(windows);
  }
  double squares = 0;
  for (const double mean : means)
    squares += (mean - result.loss) * (mean - result.loss);
  const auto n = static_cast<double>(windows);
  result.standard_error = std::sqrt(squares / (n - 1) / n);
  result.tokens = windows * parts.config.model.context;
  result.bits_per_byte = result.loss * static_cast<double>(result.tokens) /
                         std::numbers::ln2 / static_cast<double>(result.bytes);
  return result;
}

// As in fused_pass_test.cpp: ten products in each of two blocks and the head's
// three, which round their operands and add up 257 terms at most.
double rounding_of_logits(double epsilon) {
  return 4 * std::sqrt(23.0) * (1 + std::sqrt(257.0)) * epsilon / 2;
}

void expect_same_hits(const HeldOutLoss& found,
                      const PlainEvaluation& expected) {
  EXPECT_NEAR(found.accuracy * static_cast<double>(found.tokens),
              static_cast<double>(expected.hits),
              static_cast<double>(expected.close) + 1e-9);
  EXPECT_GT(expected.hits, expected.close);
}

void expect_same_evaluation(const char* layers, bool in_double,
                            double epsilon) {
  Parts parts(with_layers(tiny_config(), layers), in_double);
  for (std::int64_t step = 0; step < 3; ++step) (void)parts.loop.run(step);
  // More windows than fit one pass of 2048 tokens.
  const std::int64_t windows = 150;
  const HeldOutLoss found = parts.evaluate_on(data::Split::kSelection, windows);
  const PlainEvaluation expected =
      plain_evaluation(parts, windows, rounding_of_logits(epsilon));
  // Each token's loss is right to a few roundings of sums over the 257 logits.
  const double bound = 257 * epsilon * expected.loss;
  expect_same_hits(found, expected);
  EXPECT_NEAR(found.loss, expected.loss, bound);
  EXPECT_NEAR(found.standard_error, expected.standard_error, bound);
  EXPECT_EQ(found.tokens, expected.tokens);
  EXPECT_EQ(found.bytes, expected.bytes);
  EXPECT_LT(found.bytes, found.tokens) << "the windows hold no separator";
  EXPECT_NEAR(found.bits_per_byte, expected.bits_per_byte, 2 * bound);
  EXPECT_EQ(found.split, "selection");
  EXPECT_GT(found.standard_error, 10 * bound);
}

TEST(Evaluate, EqualsThePlainSumOverWindows) {
  expect_same_evaluation("plain", true, kEpsilon64);
  expect_same_evaluation("plain", false, kEpsilon32);
  expect_same_evaluation("fused", false, kEpsilon32);
}

// That the pass counts right in bfloat16 is fused_pass_test.cpp's; the windows
// here fit one call.
TEST(Evaluate, AddsUpTheHitsOfAPassInBFloat16) {
  RunConfig config = tiny_config();
  config.precision = "bfloat16";
  Parts parts(config);
  for (std::int64_t step = 0; step < 3; ++step) (void)parts.loop.run(step);
  const auto& tokens = parts.dataset.tokens(data::Split::kSelection);
  const Batch batch =
      gather(tokens, data::held_out_starts(std::ssize(tokens), 16, 100), 16);
  std::vector<std::uint8_t> hits;
  (void)parts.pass->losses(batch.inputs, batch.targets, &hits);
  const auto count = std::count(hits.begin(), hits.end(), 1);
  EXPECT_GT(count, 0);
  EXPECT_EQ(parts.evaluate_on(data::Split::kSelection, 100).accuracy,
            static_cast<double>(count) / (100 * 16));
}

TEST(Evaluate, AModelThatKnowsNothingHasTheLogarithmOfTheVocabulary) {
  Parts parts(tiny_config(), true);
  {
    const at::NoGradGuard no_grad;
    for (auto& item : parts.model.named_parameters()) item.value().zero_();
  }
  const HeldOutLoss found = parts.evaluate_on(data::Split::kReporting, 10);
  EXPECT_NEAR(found.loss, std::log(257.0), 257 * kEpsilon64 * std::log(257.0));
  EXPECT_NEAR(found.standard_error, 0, 1e-12);
  // All logits are equal: token 0 is the first, which no text has.
  EXPECT_EQ(found.accuracy, 0);
}

TEST(Evaluate, LeavesModelAndGradientsAlone) {
  Parts parts(tiny_config());
  (void)parts.loop.run(0);
  const std::string weights = parts.weights();
  const double norm = norm_of(parts.gradients());
  (void)parts.evaluate_on(data::Split::kReporting, 5);
  EXPECT_EQ(parts.weights(), weights);
  EXPECT_EQ(norm_of(parts.gradients()), norm);
}

TEST(Evaluate, RefusesMoreWindowsThanThereAre) {
  const Parts parts(tiny_config());
  const auto all = static_cast<std::int64_t>(
      (parts.dataset.tokens(data::Split::kReporting).size() - 1) / 16);
  (void)parts.evaluate_on(data::Split::kReporting, all);
  testing::expect_error(
      ErrorKind::kInvalidArgument,
      {"eval.windows", std::to_string(all + 1), "reporting",
       std::to_string(all)},
      [&] { (void)parts.evaluate_on(data::Split::kReporting, all + 1); });
  testing::expect_error(ErrorKind::kInvalidArgument, {"test", "selection"},
                        [] { (void)split_from_name("test"); });
}

class SampleTest : public ::testing::Test {
 protected:
  SampleTest() : parts_(tiny_config()) {
    for (std::int64_t step = 0; step < 6; ++step) (void)parts_.loop.run(step);
  }
  std::string text(const std::string& prompt, SampleOptions options) const {
    return sample(parts_.model, *parts_.dataset.tokenizer(), prompt, options);
  }
  Parts parts_;
};

TEST_F(SampleTest, IsAFunctionOfTheSeed) {
  SampleOptions options;
  options.tokens = 40;  // beyond the context of 16
  const std::string once = text("Address", options);
  EXPECT_EQ(text("Address", options), once);
  EXPECT_EQ(once.rfind("Address", 0), 0U) << "the prompt is not kept";
  EXPECT_GT(once.size(), std::string("Address").size());
  options.seed = 1;
  EXPECT_NE(text("Address", options), once);
}

TEST_F(SampleTest, TemperatureZeroTakesTheLikeliestToken) {
  SampleOptions options;
  options.tokens = 1;
  options.temperature = 0;
  const at::NoGradGuard no_grad;
  const std::vector<std::int64_t> ids = {256, 'A', 'd'};
  const at::Tensor logits =
      parts_.model.forward(linalg::tensor_of(ids).view({1, -1}));
  const auto likeliest = logits.select(1, -1).argmax().item<std::int64_t>();
  ASSERT_LT(likeliest, 256) << "the separator: no byte to compare";
  EXPECT_EQ(text("Ad", options),
            "Ad" + std::string(1, static_cast<char>(likeliest)));
  // One candidate is the likeliest one, whatever the temperature and seed.
  options.tokens = 20;
  const std::string greedy = text("Ad", options);
  options.temperature = 5;
  options.top_k = 1;
  options.seed = 7;
  EXPECT_EQ(text("Ad", options), greedy);
}

TEST_F(SampleTest, RefusesOptionsOutOfRange) {
  const auto refused = [&](SampleOptions options, const std::string& word) {
    testing::expect_error(ErrorKind::kInvalidArgument, {word},
                          [&] { (void)text("", options); });
  };
  refused({.tokens = 0}, "tokens");
  refused({.temperature = -1}, "temperature");
  refused({.temperature = kNan}, "temperature");
  refused({.top_k = -1}, "top-k");
}

}  // namespace
}  // namespace muonlab::train
