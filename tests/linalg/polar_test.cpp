#include "muonlab/linalg/polar.h"

#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <string>

#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace muonlab {
namespace {

using testing::close;
using testing::expect_error;
using testing::newton_schulz_bound;
using testing::random_tensor;
using testing::same_bits;
using testing::to_matrix;
using testing::to_tensor;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kFloatEps = std::numeric_limits<float>::epsilon();
// The largest growth of an error in one step is the slope at zero.
constexpr double kKellerSlope = 3.4445;
// Ten digits are printed after the point.
constexpr double kPrinted = 1e-10;

const PolarOptions kSvd = {.method = PolarMethod::kSvd};
const PolarOptions kTaylor = {.coefficients = "taylor"};

struct Shape {
  std::int64_t rows, columns;
};
constexpr Shape kShapes[] = {{6, 6}, {12, 5}, {5, 12},  {1, 9},   {9, 1},
                             {1, 1}, {2, 2},  {40, 24}, {24, 40}, {32, 32}};

at::Tensor golden_gradient() {
  return torch::tensor({{.1, -.2}, {.3, .4}, {-.5, .6}}, torch::kDouble);
}

at::Tensor golden_exact() {
  return torch::tensor({{.1077679306, -.2504896155},
                        {.7116788404, .6951667554},
                        {-.6941896724, .6737938369}},
                       torch::kDouble);
}

// Of the polar factor, when A is known to within n eps |A|: twice that over the
// smallest singular value.
double svd_bound(const at::Tensor& a) {
  const auto sigma = reference::jacobi_svd(to_matrix(a)).sigma;
  const double norm = reference::frobenius_norm(to_matrix(a));
  return 4 * static_cast<double>(std::max(a.size(0), a.size(1))) * kEps * norm /
         *std::min_element(sigma.begin(), sigma.end());
}

at::Tensor orthogonal(std::int64_t n, std::uint64_t seed) {
  return to_tensor(
      reference::polar_factor(to_matrix(random_tensor({n, n}, seed))));
}

TEST(Polar, AgreesWithTheGoldenValues) {
  const at::Tensor g = golden_gradient();
  EXPECT_TRUE(close(polar_factor(g, kSvd), golden_exact(), kPrinted));
  EXPECT_TRUE(close(polar_factor(g, kTaylor), golden_exact(), kPrinted));
  EXPECT_TRUE(close(polar_factor(g),
                    torch::tensor({{.1013248149, -.2222263808},
                                   {.5214938999, .5532124892},
                                   {-.5936318567, .6231752514}},
                                  torch::kDouble),
                    kPrinted));
}

TEST(Polar, KellerStepsLeaveARankOneMatrixShort) {
  const at::Tensor column = torch::tensor({{3.0}, {4.0}}, torch::kDouble);
  EXPECT_TRUE(close(
      polar_factor(column),
      torch::tensor({{.4178618580}, {.5571491440}}, torch::kDouble), kPrinted));
}

TEST(Polar, NewtonSchulzEqualsTheReference) {
  for (const auto& [rows, columns] : kShapes) {
    for (const int steps : {1, 5, 8}) {
      const at::Tensor m = random_tensor({rows, columns}, 11);
      const double bound =
          newton_schulz_bound(kKellerSlope, steps, rows, columns, kEps);
      EXPECT_TRUE(close(polar_factor(m, {.steps = steps}),
                        to_tensor(reference::newton_schulz(
                            to_matrix(m), reference::kKeller, steps, 1e-7)),
                        bound))
          << rows << "x" << columns << ", " << steps << " steps";
      EXPECT_TRUE(
          close(polar_factor(m, {.coefficients = "taylor", .steps = steps}),
                to_tensor(reference::newton_schulz(
                    to_matrix(m), reference::kTaylor, steps, 1e-7)),
                bound));
    }
  }
}

TEST(Polar, AddsEpsToTheNorm) {
  // |M| = 1 and eps = 1/2: the singular value is a*s + b*s^3 + c*s^5 at 2/3.
  const at::Tensor m = torch::ones({1, 1}, torch::kDouble);
  const double s = 2.0 / 3;
  const double expected =
      3.4445 * s - 4.7750 * s * s * s + 2.0315 * s * s * s * s * s;
  EXPECT_NEAR(polar_factor(m, {.steps = 1, .eps = 0.5}).item<double>(),
              expected, 16 * kEps);
}

TEST(Polar, SvdEqualsTheReference) {
  for (const auto& [rows, columns] : kShapes) {
    const at::Tensor m = random_tensor({rows, columns}, 12);
    EXPECT_TRUE(close(polar_factor(m, kSvd),
                      to_tensor(reference::polar_factor(to_matrix(m))),
                      svd_bound(m)))
        << rows << "x" << columns;
  }
}

TEST(Polar, OfADiagonalIsItsSigns) {
  const at::Tensor d =
      torch::diag(torch::tensor({2.0, -0.5, 1.0, -3.0}, torch::kDouble));
  EXPECT_TRUE(close(polar_factor(d, kSvd), d.sign(), 16 * kEps));
  // Twelve Taylor steps converge for singular values above .1 of the norm.
  EXPECT_TRUE(close(polar_factor(d, {.coefficients = "taylor", .steps = 12}),
                    d.sign(), newton_schulz_bound(1.875, 12, 4, 4, kEps)));
}

TEST(Polar, OfAVectorIsItsDirection) {
  const at::Tensor x = random_tensor({7, 1}, 13);
  EXPECT_TRUE(close(polar_factor(x, kSvd), x / x.norm(), 16 * kEps));
  EXPECT_TRUE(close(polar_factor(x.t(), kSvd), x.t() / x.norm(), 16 * kEps));
}

TEST(Polar, IgnoresScaleAndFollowsTransposesAndRotations) {
  for (const auto& [rows, columns] : kShapes) {
    const at::Tensor m = random_tensor({rows, columns}, 14);
    const at::Tensor q = orthogonal(rows, 15);
    for (const PolarOptions& options : {PolarOptions{.eps = 1e-30}, kSvd}) {
      const bool svd = options.method == PolarMethod::kSvd;
      const double bound =
          4 * (svd ? svd_bound(m)
                   : newton_schulz_bound(kKellerSlope, 5, rows, columns, kEps));
      const at::Tensor f = polar_factor(m, options);
      EXPECT_TRUE(close(polar_factor(m * 1e3, options), f, bound));
      EXPECT_TRUE(close(polar_factor(m.t(), options), f.t(), bound));
      EXPECT_TRUE(close(polar_factor(q.mm(m), options), q.mm(f), bound))
          << rows << "x" << columns;
      EXPECT_TRUE(close(polar_factor(-m, options), -f, bound));
    }
  }
}

TEST(Polar, KellerSingularValuesLieInTheDocumentedBand) {
  for (std::uint64_t seed = 20; seed < 30; ++seed) {
    for (const auto& [rows, columns] : {Shape{16, 48}, {48, 16}, {8, 20}}) {
      const at::Tensor m = random_tensor({rows, columns}, seed);
      const double norm = reference::frobenius_norm(to_matrix(m));
      for (const double s : reference::jacobi_svd(to_matrix(m)).sigma) {
        ASSERT_GE(s / norm, 0.01) << "ill-conditioned input, seed " << seed;
      }
      const auto sigma =
          reference::jacobi_svd(to_matrix(polar_factor(m))).sigma;
      for (const double s : sigma) {
        // Three digits are printed after the point.
        EXPECT_GE(s, 0.682 - 5e-4) << "seed " << seed;
        EXPECT_LE(s, 1.134 + 5e-4) << "seed " << seed;
      }
    }
  }
}

TEST(Polar, OfZeroIsZero) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const auto& [rows, columns] : kShapes) {
      const at::Tensor zero = torch::zeros({rows, columns}, type);
      EXPECT_TRUE(same_bits(polar_factor(zero), zero));
      EXPECT_TRUE(polar_factor(zero, kSvd).eq(0).all().item<bool>());
    }
  }
  EXPECT_EQ(polar_factor(torch::zeros({0, 3})).sizes(),
            (std::vector<std::int64_t>{0, 3}));
}

TEST(Polar, OfTinyMatricesShrinksWithEpsAndIsNeverNan) {
  const at::Tensor m = random_tensor({6, 4}, 31);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    // Far below eps the map is linear: slope^steps * M / eps.
    const at::Tensor f = polar_factor((m * 1e-30).to(type));
    EXPECT_TRUE(f.isfinite().all().item<bool>());
    EXPECT_LE(f.abs().max().item<double>(),
              std::pow(kKellerSlope, 5) * 1e-30 / 1e-7 * 10);
  }
  const at::Tensor exact = polar_factor(m * 1e-30, kSvd);
  EXPECT_TRUE(close(exact, polar_factor(m, kSvd), 2 * svd_bound(m)));
}

TEST(Polar, OfHugeMatricesIsThatOfTheirDirection) {
  const at::Tensor m = random_tensor({6, 4}, 32);
  const at::Tensor expected = polar_factor(m, {.eps = 1e-30});
  EXPECT_TRUE(close(polar_factor(m * 1e30), expected,
                    2 * newton_schulz_bound(kKellerSlope, 5, 6, 4, kEps)));
  // The squares of 1e18 still fit a float, those of 1e30 do not: M / infinity
  // would be zero, an update lost without a word.
  for (const double size : {1e18, 1e30}) {
    EXPECT_TRUE(
        close(polar_factor((m * size).to(at::kFloat)), expected,
              2 * newton_schulz_bound(kKellerSlope, 5, 6, 4, kFloatEps)));
  }
}

TEST(Polar, OfRankOneIsTheProductOfDirections) {
  const at::Tensor u = random_tensor({8, 1}, 33);
  const at::Tensor v = random_tensor({5, 1}, 34);
  const at::Tensor exact = u.mm(v.t()) / (u.norm() * v.norm());
  EXPECT_TRUE(close(polar_factor(u.mm(v.t()), kSvd), exact, 64 * kEps));
  EXPECT_TRUE(close(polar_factor(u.mm(v.t()), {.coefficients = "taylor"}),
                    exact, 1e-7 + newton_schulz_bound(1.875, 5, 8, 5, kEps)));
}

TEST(Polar, TakesViewsAndLeavesItsArgumentAlone) {
  const at::Tensor wide = random_tensor({10, 12}, 35);
  const at::Tensor view = wide.slice(0, 1, 10, 2).narrow(1, 3, 6).t();
  ASSERT_FALSE(view.is_contiguous());
  const at::Tensor before = wide.clone();
  const double bound = newton_schulz_bound(kKellerSlope, 5, 6, 5, kEps);
  EXPECT_TRUE(
      close(polar_factor(view), polar_factor(view.contiguous()), bound));
  EXPECT_TRUE(close(polar_factor(view, kSvd),
                    polar_factor(view.contiguous(), kSvd),
                    2 * svd_bound(view)));
  EXPECT_TRUE(same_bits(wide, before));
  const at::Tensor copy = wide.clone();
  polar_factor(copy).add_(1);  // the result is no view of the argument
  EXPECT_TRUE(same_bits(copy, before));
}

TEST(Polar, KeepsTheDtypeAndBuildsNoGraph) {
  at::Tensor m = random_tensor({4, 3}, 36).to(at::kFloat);
  m.requires_grad_();
  const at::Tensor f = polar_factor(m);
  EXPECT_EQ(f.scalar_type(), at::kFloat);
  EXPECT_FALSE(f.requires_grad());
}

TEST(Polar, InFloatIsThatInDoubleWithinRounding) {
  for (const auto& [rows, columns] : kShapes) {
    const at::Tensor m = random_tensor({rows, columns}, 37).to(at::kFloat);
    EXPECT_TRUE(
        close(polar_factor(m), polar_factor(m.to(at::kDouble)),
              newton_schulz_bound(kKellerSlope, 5, rows, columns, kFloatEps)))
        << rows << "x" << columns;
  }
}

TEST(Polar, RefusesWhatItCannotTake) {
  const auto call = [](const at::Tensor& m, const PolarOptions& options = {}) {
    return [=] { (void)polar_factor(m, options); };
  };
  constexpr auto kKind = ErrorKind::kInvalidArgument;
  const at::Tensor m = torch::ones({2, 2});
  expect_error(kKind, {"1 dimension", "expected 2"}, call(torch::ones({3})));
  expect_error(kKind, {"0 dimensions"}, call(torch::ones({})));
  expect_error(kKind, {"dtype Int", "float32 or float64"},
               call(torch::ones({2, 2}, torch::kInt)));
  expect_error(kKind, {"dtype Half"}, call(m.to(at::kHalf)));
  expect_error(kKind, {"steps", "got 0"}, call(m, {.steps = 0}));
  expect_error(kKind, {"steps", "got 101"}, call(m, {.steps = 101}));
  expect_error(kKind, {"eps", "got 0"}, call(m, {.eps = 0}));
  expect_error(kKind, {"eps", "got nan"},
               call(m, {.eps = std::numeric_limits<double>::quiet_NaN()}));
  expect_error(kKind, {"'kelle'", "did you mean 'keller'"},
               call(m, {.coefficients = "kelle"}));
}

TEST(Polar, EveryNamedCoefficientSetExists) {
  for (const std::string& name : polar_table_names()) {
    EXPECT_FALSE(polar_table(name).rows.empty()) << name;
  }
  EXPECT_EQ(polar_table("keller").rows[0], (Quintic{3.4445, -4.7750, 2.0315}));
  EXPECT_EQ(polar_table("taylor").rows[0], (Quintic{1.875, -1.25, 0.375}));
}

}  // namespace
}  // namespace muonlab
