#include "muonlab/linalg/spectrum.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "muonlab/linalg/polar.h"
#include "tests/support/tensors.h"

namespace muonlab::linalg {
namespace {

using testing::close;
using testing::random_tensor;

constexpr double kEps = 2.3e-16;

at::Tensor diagonal(std::initializer_list<double> values) {
  const std::vector<double> v(values);
  return at::diag(tensor_of(v));
}

TEST(Spectrum, OfADiagonalMatrixIsItsDiagonal) {
  const Spectrum s = spectrum_of(diagonal({3, 1, 2}));
  EXPECT_NEAR(s.largest, 3, 16 * kEps);
  EXPECT_NEAR(s.smallest, 1, 16 * kEps);
  EXPECT_NEAR(s.stable_rank, 14.0 / 9, 16 * kEps);
  double entropy = 0;
  for (const double p : {9 / 14.0, 1 / 14.0, 4 / 14.0}) {
    entropy -= p * std::log(p) / std::log(3.0);
  }
  EXPECT_NEAR(s.entropy, entropy, 16 * kEps);
}

TEST(Spectrum, OfFlatRankOneAndZeroMatrices) {
  EXPECT_NEAR(spectrum_of(diagonal({2, 2, 2, 2})).entropy, 1, 16 * kEps);
  const Spectrum one = spectrum_of(at::ones({4, 5}, at::kDouble));
  EXPECT_NEAR(one.stable_rank, 1, 64 * kEps);
  EXPECT_NEAR(one.entropy, 0, 1e-12);
  const Spectrum zero = spectrum_of(at::zeros({3, 2}, at::kDouble));
  EXPECT_EQ(zero.largest, 0);
  EXPECT_EQ(zero.stable_rank, 0);
  EXPECT_EQ(spectrum_of(at::ones({1, 6}, at::kDouble)).entropy, 1);
}

TEST(SpectralNorm, IsNeverAboveAndSoonNearTheLargestSingularValue) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const at::Tensor m = random_tensor({12, 20}, seed);
    const double exact = spectrum_of(m).largest;
    EXPECT_LE(spectral_norm(m, 10), exact * (1 + 64 * kEps));
    EXPECT_GE(spectral_norm(m, 10), 0.9 * exact);
    EXPECT_NEAR(spectral_norm(m, 2000), exact, 1e-9 * exact);
  }
  EXPECT_EQ(spectral_norm(at::zeros({3, 3}, at::kDouble)), 0);
}

TEST(OrthogonalityError, IsZeroForPolarFactorsAndKnownForScaledOnes) {
  for (const auto& shape : {std::vector<std::int64_t>{4, 9}, {9, 4}}) {
    const at::Tensor o =
        polar_factor(random_tensor(shape, 3), {.method = PolarMethod::kSvd});
    EXPECT_NEAR(orthogonality_error(o), 0, 64 * kEps);
    // (4 - 1) on the diagonal.
    EXPECT_NEAR(orthogonality_error(o.mul(2)), 3, 256 * kEps);
  }
}

TEST(SpectralMap, AppliesTheFunctionAndLeavesNoiseAtZero) {
  const at::Tensor m = random_tensor({5, 8}, 4);
  const auto same = [](const at::Tensor& s) { return s; };
  EXPECT_TRUE(close(spectral_map(m, same), m, 256 * kEps));
  // Rank two: the function sees two values, in descending order.
  const at::Tensor low =
      at::mm(random_tensor({6, 2}, 5), random_tensor({2, 7}, 6));
  std::int64_t seen = 0;
  const at::Tensor flat = spectral_map(low, [&](const at::Tensor& s) {
    seen = s.numel();
    EXPECT_GE(s[0].item<double>(), s[s.numel() - 1].item<double>());
    return at::ones_like(s);
  });
  EXPECT_EQ(seen, 2);
  EXPECT_NEAR(flat.square().sum().item<double>(), 2, 1e-12);
  const at::Tensor zero = at::zeros({3, 4}, at::kDouble);
  EXPECT_TRUE(spectral_map(zero, same).eq(0).all().item<bool>());
}

// Against the SVD, where the rank is full and where it is not.
TEST(Qdwh, IsThePolarFactorWhateverTheRank) {
  const auto check = [](const at::Tensor& m, double bound) {
    const at::Tensor exact = polar_factor(m, {.method = PolarMethod::kSvd});
    EXPECT_TRUE(
        close(polar_factor(m, {.method = PolarMethod::kQdwh}), exact, bound));
  };
  for (const auto& shape :
       {std::vector<std::int64_t>{6, 6}, {4, 11}, {11, 4}, {1, 5}, {5, 1}}) {
    // The error of a polar factor is that of the matrix over its smallest
    // singular value.
    const at::Tensor m = random_tensor(shape, 7);
    check(m, 64 * kEps * spectrum_of(m).largest / spectrum_of(m).smallest);
  }
  check(at::mm(random_tensor({6, 2}, 8), random_tensor({2, 9}, 9)), 1e-12);
  check(at::ones({4, 4}, at::kDouble), 1e-12);
  check(random_tensor({5, 5}, 10).mul(1e200), 1e-12);
  check(random_tensor({5, 5}, 10).mul(1e-200), 1e-12);
  EXPECT_TRUE(polar_factor(at::zeros({3, 2}, at::kDouble),
                           {.method = PolarMethod::kQdwh})
                  .eq(0)
                  .all()
                  .item<bool>());
}

}  // namespace
}  // namespace muonlab::linalg
