// The comparators and the reference that other tests lean on.
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "tests/reference/rules.h"
#include "tests/support/tensors.h"

namespace muonlab {
namespace {

using testing::close;
using testing::same_bits;

at::Tensor one(double value) { return torch::full({1}, value, torch::kDouble); }

TEST(Close, SeesWrongNegativeNumbers) {
  EXPECT_TRUE(close(one(-10), one(-10), 0));
  EXPECT_FALSE(close(one(-20), one(-10), 1e-3));
  EXPECT_FALSE(close(one(-1e6), one(-10), 1e-3));
  EXPECT_FALSE(close(one(10), one(-10), 1e-3));
}

TEST(Close, HoldsNothingCloseToNanOrInfinity) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(close(one(nan), one(nan), 1));
  EXPECT_FALSE(close(one(nan), one(0), 1));
  EXPECT_FALSE(close(one(0), one(nan), 1));
  EXPECT_FALSE(close(one(inf), one(inf), 1));
  EXPECT_FALSE(close(one(1), one(2), nan));
}

TEST(Close, RefusesEmptyAndDifferentShapes) {
  EXPECT_FALSE(close(torch::zeros({0}), torch::zeros({0}), 1));
  EXPECT_FALSE(close(torch::zeros({2, 3}), torch::zeros({3, 2}), 1));
}

TEST(SameBits, TellsZerosDtypesAndShapesApart) {
  EXPECT_TRUE(same_bits(one(3), one(3)));
  EXPECT_FALSE(same_bits(one(0), one(-0.0)));
  EXPECT_FALSE(same_bits(one(1), one(1).to(torch::kFloat)));
  EXPECT_FALSE(same_bits(one(1), one(1).view({1, 1})));
}

TEST(Reference, JacobiGivesASingularValueDecomposition) {
  for (const auto& [rows, columns] :
       {std::pair{5, 5}, {9, 4}, {4, 9}, {1, 6}, {6, 1}}) {
    const auto a = testing::to_matrix(testing::random_tensor(
        {rows, columns}, static_cast<std::uint64_t>(10 * rows + columns)));
    const reference::Svd svd = reference::jacobi_svd(a);
    reference::Matrix us = svd.u;
    for (std::size_t i = 0; i < us.rows; ++i) {
      for (std::size_t k = 0; k < us.columns; ++k) us.at(i, k) *= svd.sigma[k];
    }
    const at::Tensor u = testing::to_tensor(svd.u);
    const at::Tensor v = testing::to_tensor(svd.v);
    const at::Tensor eye = torch::eye(u.size(1), torch::kDouble);
    // Orthogonality is iterated to eps; sums of at most nine terms follow.
    constexpr double kBound = 32 * std::numeric_limits<double>::epsilon();
    const double norm = reference::frobenius_norm(a);
    EXPECT_TRUE(close(u.t().mm(u), eye, kBound));
    EXPECT_TRUE(close(v.t().mm(v), eye, kBound));
    EXPECT_TRUE(
        close(testing::to_tensor(reference::multiply(us, transpose(svd.v))),
              testing::to_tensor(a), kBound * norm));
  }
}

TEST(Reference, MuonWithoutMomentumOnADiagonalIsASignStep) {
  reference::Matrix weight(2, 2);
  reference::Matrix buffer(2, 2);
  const reference::Matrix gradient(2, 2, {3, 0, 0, -0.5});
  reference::muon_step(weight, gradient, buffer,
                       {.beta = 0, .exact = true, .lr = 0.25});
  EXPECT_TRUE(close(testing::to_tensor(weight),
                    torch::tensor({{-0.25, 0.0}, {0.0, 0.25}}, torch::kDouble),
                    1e-15));
}

TEST(Reference, FirstAdamWStepIsASignStep) {
  std::vector<double> weight = {1, 1};
  std::vector<double> first = {0, 0};
  std::vector<double> second = {0, 0};
  reference::adamw_step(weight, {4, -1e-3}, first, second, 1,
                        {.eps = 1e-30, .lr = 0.5, .decay = 0.1});
  EXPECT_NEAR(weight[0], 0.95 - 0.5, 1e-15);
  EXPECT_NEAR(weight[1], 0.95 + 0.5, 1e-15);
}

}  // namespace
}  // namespace muonlab
