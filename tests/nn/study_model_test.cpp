// Options that repeating a published study needs, beside its model written out:
// scaled embedding and dropout.
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "tests/nn/small_model.h"
#include "tests/nn/study_model.h"
#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

using testing::close;
using testing::Drops;
using testing::random_tokens;
using testing::same_bits;
using testing::small_model;
using testing::study_model;

constexpr double kEps = std::numeric_limits<double>::epsilon();

// Relative to the largest value: a value passes some 32 sums of at most 8
// terms.
double rounding(const at::Tensor& x) {
  return 32 * 8 * kEps * x.abs().max().item<double>();
}

ModelConfig study_config(bool tied) {
  ModelConfig config = testing::small_config();
  config.activation = "silu";
  config.positions = "none";
  config.tied_head = tied;
  config.scale_embedding = true;
  return config;
}

at::Tensor mean_loss(const at::Tensor& logits, const at::Tensor& targets) {
  return at::cross_entropy_loss(logits.flatten(0, 1), targets.flatten());
}

at::Tensor tokens() { return random_tokens({3, 6}, 7, 1); }
at::Tensor targets() { return random_tokens({3, 6}, 7, 2); }

std::map<std::string, at::Tensor> gradients_of(LanguageModel& model,
                                               const at::Tensor& loss) {
  model.zero_grad();
  loss.backward();
  std::map<std::string, at::Tensor> all;
  for (const auto& item : model.named_parameters()) {
    all[item.key()] = item.value().grad().clone();
  }
  return all;
}

void expect_same_gradients(LanguageModel& model, const at::Tensor& loss,
                           const at::Tensor& expected) {
  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), rounding(expected));
  const auto wanted = gradients_of(model, expected);
  for (const auto& [name, gradient] : gradients_of(model, loss)) {
    EXPECT_TRUE(close(gradient, wanted.at(name), rounding(wanted.at(name))))
        << name;
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
  }
}

TEST(StudyModel, LogitsAndGradientsAreThoseOfPlainOperators) {
  for (const bool tied : {false, true}) {
    const auto model = small_model(study_config(tied), 4);
    const at::Tensor logits = model->forward(tokens());
    const at::Tensor expected = study_model(*model, tokens()).logits;
    EXPECT_TRUE(close(logits, expected, rounding(expected)));
    expect_same_gradients(*model, model->loss(tokens(), targets()),
                          mean_loss(expected, targets()));
  }
}

TEST(StudyModel, ScalingTheEmbeddingIsALargerEmbeddingUnderAnotherHead) {
  ModelConfig config = study_config(false);
  const auto scaled = small_model(config, 4);
  config.scale_embedding = false;
  const auto larger = small_model(config, 4);
  const at::NoGradGuard no_grad;
  const at::Tensor without = larger->forward(tokens());
  larger->named_parameters()["embedding"].mul_(std::sqrt(8.0));
  const at::Tensor expected = larger->forward(tokens());
  EXPECT_TRUE(close(scaled->forward(tokens()), expected, rounding(expected)));
  EXPECT_FALSE(close(without, expected, 1e6 * rounding(expected)));
}

TEST(Drop, ZeroesItsShareAndScalesTheRest) {
  constexpr double kShare = 0.3;
  constexpr std::int64_t kCount = 100'000;
  torch::manual_seed(11);
  const at::Tensor x = testing::random_tensor({kCount}, 3) + 10;
  const at::Tensor y = drop(x, kShare);
  const at::Tensor zero = y.eq(0);
  // Binomial: five standard deviations.
  EXPECT_NEAR(zero.sum().item<double>(), kShare * kCount,
              5 * std::sqrt(kCount * kShare * (1 - kShare)));
  const at::Tensor kept = x.masked_select(zero.logical_not());
  EXPECT_TRUE(close(y.masked_select(zero.logical_not()), kept / (1 - kShare),
                    2 * rounding(kept)));
  // Neighbours are independent: both zero with probability share^2.
  const at::Tensor pairs = zero.view({-1, 2}).all(1);
  const double both = kShare * kShare;
  EXPECT_NEAR(pairs.sum().item<double>(), both * kCount / 2,
              5 * std::sqrt(kCount / 2 * both * (1 - both)));
}

TEST(Drop, AShareOfZeroIsTheTensorItselfAndDrawsNothing) {
  torch::manual_seed(11);
  const at::Tensor x = at::ones({4});
  EXPECT_TRUE(drop(x, 0).is_same(x));
  const at::Tensor next = at::rand({4});
  torch::manual_seed(11);
  EXPECT_TRUE(same_bits(next, at::rand({4})));
}

// The same draws in the same order as at::dropout written out at six places;
// leaving out any one of them gives another loss.
TEST(StudyModel, LossDropsAtSixPlacesAndNoOther) {
  constexpr double kShare = 0.2;
  constexpr Drops kAll = {kShare, kShare, kShare, kShare, kShare, kShare};
  for (const bool tied : {false, true}) {
    ModelConfig config = study_config(tied);
    config.dropout = kShare;
    const auto model = small_model(config, 4);
    torch::manual_seed(5);
    const at::Tensor loss = model->loss(tokens(), targets());
    const at::Tensor after = at::rand({1});
    torch::manual_seed(5);
    const at::Tensor expected =
        mean_loss(study_model(*model, tokens(), kAll).logits, targets());
    EXPECT_TRUE(same_bits(after, at::rand({1}))) << "other draws";
    expect_same_gradients(*model, loss, expected);
    for (std::size_t place = 0; place < kAll.size(); ++place) {
      Drops fewer = kAll;
      fewer[place] = 0;
      torch::manual_seed(5);
      const at::Tensor other =
          mean_loss(study_model(*model, tokens(), fewer).logits, targets());
      EXPECT_GT((other - expected).abs().item<double>(),
                1e6 * rounding(expected))
          << "place " << place;
    }
  }
}

// A probe that is linear in what is dropped: the mean over draws is the value
// without dropout, within five standard errors of the mean.
TEST(Drop, KeepsTheMean) {
  torch::manual_seed(7);
  const at::Tensor x = testing::random_tensor({40}, 8);
  const at::Tensor weights = testing::random_tensor({40}, 9);
  const at::Tensor draws = at::matmul(drop(x.expand({4000, 40}), 0.1), weights);
  const double expected = at::dot(x, weights).item<double>();
  EXPECT_NEAR(draws.mean().item<double>(), expected,
              5 * draws.std().item<double>() / std::sqrt(4000.0));
  EXPECT_GT(draws.std().item<double>(), 0);
}

TEST(StudyModel, ForwardNeverDrops) {
  ModelConfig config = study_config(true);
  const at::Tensor expected = small_model(config, 4)->forward(tokens());
  config.dropout = 0.5;
  const auto model = small_model(config, 4);
  torch::manual_seed(5);
  EXPECT_TRUE(same_bits(model->forward(tokens()), expected));
  const at::Tensor next = at::rand({1});
  torch::manual_seed(5);
  EXPECT_TRUE(same_bits(next, at::rand({1}))) << "forward() drew something";
  const double first = model->loss(tokens(), targets()).item<double>();
  EXPECT_NE(model->loss(tokens(), targets()).item<double>(), first);
}

}  // namespace
}  // namespace muonlab::nn
