// Each fused function against its plain twin of ATen operators, in float64.
#include "muonlab/nn/functional.h"

#include <torch/torch.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "tests/support/tensors.h"

namespace muonlab::nn {
namespace {

using testing::close;
using testing::random_tensor;

constexpr double kEps = std::numeric_limits<double>::epsilon();

using Map = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// Values and all gradients of both maps, for one random cotangent. Sums have
// at most `terms` terms of size `magnitude`.
void expect_twins(const Map& fused, const Map& plain,
                  const std::vector<std::vector<std::int64_t>>& shapes,
                  int terms, double magnitude) {
  std::vector<at::Tensor> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    inputs.push_back(random_tensor(shapes[i], 1 + i).requires_grad_());
  }
  const at::Tensor a = fused(inputs);
  const at::Tensor b = plain(inputs);
  const double bound = 4 * terms * magnitude * kEps;
  EXPECT_TRUE(close(a, b, bound));
  const at::Tensor cotangent = random_tensor(b.sizes(), 9);
  const auto da = torch::autograd::grad({a}, inputs, {cotangent});
  const auto db = torch::autograd::grad({b}, inputs, {cotangent});
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(close(da[i], db[i], bound)) << "gradient of input " << i;
  }
}

TEST(Linear, EqualsItsTwin) {
  // Normal numbers stay below 5, so products stay below 25.
  expect_twins([](const auto& t) { return nn::linear(t[0], t[1]); },
               [](const auto& t) { return at::matmul(t[0], t[1].t()); },
               {{2, 3, 4}, {5, 4}}, 6, 25);
  expect_twins(
      [](const auto& t) { return nn::linear(t[0].transpose(0, 1), t[1]); },
      [](const auto& t) { return at::matmul(t[0].transpose(0, 1), t[1].t()); },
      {{2, 3, 4}, {5, 4}}, 6, 25);
}

TEST(Linear, GivesOnlyTheGradientsThatAreAskedFor) {
  const at::Tensor x = random_tensor({3, 4}, 1);
  const at::Tensor w = random_tensor({5, 4}, 2).requires_grad_();
  nn::linear(x, w).sum().backward();
  EXPECT_TRUE(close(w.grad(), torch::ones({5, 3}, torch::kDouble).mm(x),
                    16 * 5 * kEps));
  EXPECT_FALSE(x.grad().defined());
}

TEST(RmsNorm, EqualsItsTwin) {
  constexpr double kNormEps = 0.25;  // large, so that a misplaced eps shows
  expect_twins(
      [](const auto& t) { return rms_norm(t[0], t[1], kNormEps); },
      [](const auto& t) {
        return t[0] / (t[0].square().mean({-1}, true) + kNormEps).sqrt() * t[1];
      },
      {{2, 3, 6}, {6}}, 12, 25);
}

TEST(RmsNorm, GivesRowsOfUnitMeanSquare) {
  const at::Tensor x = random_tensor({4, 8}, 3) * 1e3;
  const at::Tensor y = rms_norm(x, torch::ones({8}, torch::kDouble), 1e-12);
  // eps over the mean square, some 1e6, is below the rounding.
  EXPECT_TRUE(close(y.square().mean({-1}), torch::ones({4}, torch::kDouble),
                    16 * kEps));
  EXPECT_TRUE(rms_norm(torch::zeros({2, 8}), torch::ones({8}), 1e-5)
                  .eq(0)
                  .all()
                  .item<bool>());
}

TEST(Swiglu, EqualsItsTwin) {
  expect_twins([](const auto& t) { return swiglu(t[0]); },
               [](const auto& t) {
                 const auto halves = t[0].chunk(2, -1);
                 return halves[0] / (1 + (-halves[0]).exp()) * halves[1];
               },
               {{2, 3, 10}}, 8, 125);
}

at::Tensor plain_rotation(const at::Tensor& x, double theta) {
  const std::int64_t half = x.size(3) / 2;
  at::Tensor y = x.clone();
  std::vector<at::Tensor> features(static_cast<std::size_t>(2 * half));
  const at::Tensor position =
      at::arange(x.size(1), at::kDouble).view({1, x.size(1), 1});
  for (std::int64_t j = 0; j < half; ++j) {
    const double frequency =
        std::pow(theta, -static_cast<double>(j) / static_cast<double>(half));
    const at::Tensor angle = position * frequency;
    const at::Tensor a = x.select(3, j);
    const at::Tensor b = x.select(3, j + half);
    features[static_cast<std::size_t>(j)] = a * angle.cos() - b * angle.sin();
    features[static_cast<std::size_t>(j + half)] =
        b * angle.cos() + a * angle.sin();
  }
  return at::stack(features, 3);
}

TEST(Rotate, EqualsItsTwin) {
  const RotaryTable table = rotary_table(7, 6, 100, at::kDouble);
  // An angle of up to 7 is known to 7 eps.
  expect_twins([&](const auto& t) { return rotate(t[0], table); },
               [](const auto& t) { return plain_rotation(t[0], 100); },
               {{2, 5, 3, 6}}, 8, 5);
}

TEST(Rotate, PairsEachFeatureWithTheOneHalfAHeadOn) {
  // Token 1 of a head of four features, theta 1e4: angles 1 and 0.01.
  const RotaryTable table = rotary_table(2, 4, 1e4, at::kDouble);
  at::Tensor x = torch::zeros({1, 2, 1, 4}, torch::kDouble);
  x[0][1][0][0] = 1;  // pairs with feature 2
  x[0][1][0][3] = 1;  // pairs with feature 1
  x[0][0] = torch::tensor({{1.0, 2.0, 3.0, 4.0}}, torch::kDouble);
  const at::Tensor y = rotate(x, table);
  EXPECT_TRUE(close(y[0][1][0],
                    torch::tensor({std::cos(1.0), -std::sin(0.01),
                                   std::sin(1.0), std::cos(0.01)},
                                  torch::kDouble),
                    4 * kEps));
  EXPECT_TRUE(testing::same_bits(y[0][0], x[0][0]));  // position 0: unchanged
}

TEST(Rotate, PreservesNorms) {
  const RotaryTable table = rotary_table(9, 8, 1e4, at::kDouble);
  const at::Tensor x = random_tensor({2, 9, 3, 8}, 5);
  EXPECT_TRUE(close(rotate(x, table).norm(2, {-1}, false),
                    x.norm(2, {-1}, false), 16 * 8 * kEps));
}

TEST(Rotate, ProductsDependOnTheDistanceOfPositionsAlone) {
  constexpr std::int64_t kTokens = 12;
  const RotaryTable table = rotary_table(kTokens, 8, 50, at::kDouble);
  const auto everywhere = [&](std::uint64_t seed) {
    return rotate(random_tensor({1, 1, 1, 8}, seed).expand({1, kTokens, 1, 8}),
                  table)
        .view({kTokens, 8});
  };
  const at::Tensor products = everywhere(6).mm(everywhere(7).t());
  // Eight products below 25, of angles below 12 known to 12 eps.
  constexpr double kBound = 8 * 25 * 12 * kEps;
  for (std::int64_t m = 1; m < kTokens; ++m) {
    for (std::int64_t n = 1; n < kTokens; ++n) {
      EXPECT_NEAR(products[m][n].item<double>(),
                  products[m - 1][n - 1].item<double>(), kBound);
    }
  }
  EXPECT_GT((products[0][1] - products[0][2]).abs().item<double>(), 1e-3);
  EXPECT_GT((products[0][1] - products[1][0]).abs().item<double>(), 1e-3);
}

TEST(RotaryTable, HoldsCosinesAndSinesOfTheAngles) {
  const RotaryTable table = rotary_table(600, 4, 1e4, at::kFloat);
  ASSERT_EQ(table.cosine.sizes(), (std::vector<std::int64_t>{600, 2}));
  constexpr double kFloatEps = std::numeric_limits<float>::epsilon();
  EXPECT_NEAR(table.cosine[599][0].item<double>(), std::cos(599.0), kFloatEps);
  EXPECT_NEAR(table.sine[599][1].item<double>(), std::sin(5.99), kFloatEps);
}

}  // namespace
}  // namespace muonlab::nn
