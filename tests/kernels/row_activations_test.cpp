// Activations, cross-entropy and their exponential at every level: against
// float64, and gradients against central differences of the float64 reference.
#include "muonlab/kernels/row_passes.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "tests/kernels/row_passes_cases.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

using testing::difference;
using testing::kActivations;
using testing::kDifference;
using testing::kElements;
using testing::kExp;
using testing::kRows;
using testing::kUnit;
using testing::kWidths;
using testing::row;
using testing::RowsMemory;

class RowActivations : public testing::AtEveryLevel {};

INSTANTIATE_TEST_SUITE_P(Levels, RowActivations, testing::every_level(),
                         testing::level_name);

double value_of(Activation kind, double x) {
  if (kind == Activation::kRelu2) return x > 0 ? x * x : 0;
  if (kind == Activation::kSilu || kind == Activation::kSwiGlu) {
    return x / (1 + std::exp(-x));
  }
  const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(u));
}

TEST_P(RowActivations, ActivationsAndTheirGradientsAreThoseOfFloat64) {
  for (const Activation kind : kActivations) {
    const bool gated = is_gated(kind);
    for (const Element element : kElements) {
      for (const std::size_t n : kWidths) {
        RowsMemory dx(kRows, gated ? 2 * n : n, element, 1, /*size=*/3);
        const RowsMemory x = dx;
        RowsMemory y(kRows, n, element);
        activate(kind, kRows, n, dx.rows(), y.rows(), GetParam());
        RowsMemory again(kRows, n, element, 2);
        const RowsMemory dy = again;
        activate_backward(kind, kRows, n, dx.rows(), again.rows(), GetParam());
        ASSERT_TRUE(again.same(y));
        for (std::size_t r = 0; r < kRows; ++r) {
          for (std::size_t c = 0; c < n; ++c) {
            const double up = gated ? x.at(r, n + c) : 1;
            const double v = x.at(r, c);
            const double f = value_of(kind, v);
            const double slope = difference(
                [&](const auto& in) { return value_of(kind, in[0]); }, {v}, 0);
            // The exponent 2u errs by a few units, and it is below 50 here.
            const double arithmetic = kExp + 8 * kUnit * (4 + v * v);
            ASSERT_NEAR(y.at(r, c), f * up,
                        arithmetic * (std::abs(f * up)) + y.rounding(f * up) +
                            1e-15 * std::abs(v * up))
                << static_cast<int>(kind) << " of " << v;
            const double dv = dy.at(r, c) * up * slope;
            ASSERT_NEAR(dx.at(r, c), dv,
                        dx.rounding(dv) +
                            (2 * arithmetic * (1 + std::abs(v)) + kDifference) *
                                std::abs(dy.at(r, c) * up))
                << static_cast<int>(kind) << " at " << v;
            if (!gated) continue;
            const double du = dy.at(r, c) * f;
            ASSERT_NEAR(dx.at(r, n + c), du,
                        dx.rounding(du) + arithmetic * std::abs(du) + 1e-15);
          }
        }
        ASSERT_TRUE(dx.padding_is_untouched() && again.padding_is_untouched());
      }
    }
  }
}

TEST_P(RowActivations, ActivationsOfLargeValuesAreZeroOrTheValue) {
  for (const Activation kind : {Activation::kSilu, Activation::kGelu}) {
    RowsMemory x(1, 4, Element::kFloat32);
    RowsMemory y(1, 4, Element::kFloat32);
    const std::array<double, 4> values = {-1e30, -100, 100, 1e30};
    for (std::size_t i = 0; i < 4; ++i) x.set(0, i, values[i]);
    activate(kind, 1, 4, x.rows(), y.rows(), GetParam());
    EXPECT_NEAR(y.at(0, 0), 0, 1e-30);
    EXPECT_NEAR(y.at(0, 1), 0, 1e-30);
    EXPECT_EQ(y.at(0, 2), x.at(0, 2));
    EXPECT_EQ(y.at(0, 3), x.at(0, 3));
    for (std::size_t i = 0; i < 4; ++i) y.set(0, i, 1);
    activate_backward(kind, 1, 4, x.rows(), y.rows(), GetParam());
    EXPECT_NEAR(x.at(0, 0), 0, 1e-30);
    EXPECT_NEAR(x.at(0, 1), 0, 1e-30);
    EXPECT_EQ(x.at(0, 2), 1);
    EXPECT_EQ(x.at(0, 3), 1);
  }
}

TEST_P(RowActivations, CrossEntropyIsThatOfFloat64) {
  constexpr float kScale = 0.25F;
  for (const std::size_t n : {1UL, 5UL, 64UL, 1000UL, 1024UL, 5003UL}) {
    for (const Element from : kElements) {
      for (const Element to : kElements) {
        for (const bool in_place : {false, true}) {
          if (in_place && from != to) continue;
          RowsMemory x(kRows, n, from, n, /*size=*/4);
          const RowsMemory logits = x;
          RowsMemory apart(kRows, n, to);
          RowsMemory& d = in_place ? x : apart;
          std::vector<float> losses(kRows);
          std::vector<std::int64_t> targets;
          for (std::size_t r = 0; r < kRows; ++r) {
            targets.push_back(static_cast<std::int64_t>((r + 1) * n / 4));
          }
          cross_entropy(kRows, n, x.rows(), targets.data(), kScale,
                        losses.data(), d.rows(), GetParam());
          for (std::size_t r = 0; r < kRows; ++r) {
            const auto target = static_cast<std::size_t>(targets[r]);
            double sum = 0;
            for (std::size_t c = 0; c < n; ++c)
              sum += std::exp(logits.at(r, c));
            const double loss = std::log(sum) - logits.at(r, target);
            // The exponentials' error, 26 additions, rounding of the loss.
            ASSERT_NEAR(losses[r], loss, kExp + kUnit * (26 + loss)) << n;
            ASSERT_GE(losses[r], 0);
            for (std::size_t c = 0; c < n; ++c) {
              const double p = std::exp(logits.at(r, c)) / sum;
              const double expected =
                  static_cast<double>(kScale) * (c == target ? p - 1 : p);
              ASSERT_NEAR(d.at(r, c), expected,
                          // Rounding x - max, which may be 32, to float32 too.
                          (2 * kExp + 60 * kUnit) *
                                  static_cast<double>(kScale) * (p + 1e-7) +
                              d.rounding(expected))
                  << n << ": " << r << ", " << c;
            }
          }
          ASSERT_TRUE(d.padding_is_untouched());
        }
      }
    }
  }
}

TEST_P(RowActivations, CrossEntropyOfRowsThatAreNotFinite) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  RowsMemory x(4, 37, Element::kFloat32, 1);
  x.set(0, 36, std::numeric_limits<double>::quiet_NaN());
  x.set(1, 36, kInf);
  x.set(2, 36, -kInf);
  x.set(3, 2, -kInf);
  const std::vector<std::int64_t> targets(4, 2);
  std::vector<float> losses(4);
  RowsMemory d(4, 37, Element::kFloat32);
  cross_entropy(4, 37, x.rows(), targets.data(), 1, losses.data(), d.rows(),
                GetParam());
  EXPECT_TRUE(std::isnan(losses[0]));
  EXPECT_FALSE(std::isfinite(losses[1]));
  EXPECT_TRUE(std::isfinite(losses[2]));
  EXPECT_EQ(d.at(2, 36), 0);
  EXPECT_TRUE(std::isinf(losses[3]) && losses[3] > 0);
  EXPECT_EQ(d.at(3, 2), -1);
}

TEST_P(RowActivations,
       ATargetOutsideTheVocabularyIsRefusedBeforeAnythingIsWritten) {
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{5}}) {
    RowsMemory x(2, 5, Element::kFloat32, 1);
    const RowsMemory before = x;
    const std::vector<std::int64_t> targets = {0, bad};
    std::vector<float> losses(2, 7);
    testing::expect_error(ErrorKind::kInvalidArgument, {"target of row 1"},
                          [&] {
                            cross_entropy(2, 5, x.rows(), targets.data(), 1,
                                          losses.data(), x.rows(), GetParam());
                          });
    EXPECT_TRUE(x.same(before));
    EXPECT_EQ(losses[0], 7);
  }
}

// exp(-v) = 1/silu' stripped down: x / silu(x) - 1, where it is not lost.
TEST_P(RowActivations, TheExponentialIsWithinItsBound) {
  constexpr std::size_t kN = 20000;
  RowsMemory x(1, kN + 1, Element::kFloat32);
  for (std::size_t i = 0; i < kN; ++i) {
    x.set(0, i, -86.8 * static_cast<double>(i) / kN);
  }
  x.set(0, kN, 0);  // the largest, and the target
  RowsMemory d(1, kN + 1, Element::kFloat32);
  const std::int64_t target = kN;
  float loss = 0;
  // The factor 1 / sum is float32 of the sum, which the loss tells to 2^-52 of
  // itself before it is rounded; so all are held against the first.
  cross_entropy(1, kN + 1, x.rows(), &target, 0x1p40F, &loss, d.rows(),
                GetParam());
  const double first = d.at(0, 0);
  for (std::size_t i = 0; i < kN; ++i) {
    const double expected = first * std::exp(x.at(0, i));
    if (expected < 0x1p-126) break;
    ASSERT_NEAR(d.at(0, i), expected, (kExp + 2 * kUnit) * expected)
        << x.at(0, i);
  }
}

}  // namespace
}  // namespace muonlab::kernels
