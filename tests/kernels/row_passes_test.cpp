// The row passes at every level: against float64, against the scalar level's
// bits, and gradients against central differences of the float64 reference.
#include "muonlab/kernels/row_passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/kernels/row_passes_internal.h"
#include "tests/kernels/rows_memory.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

using testing::RowsMemory;

constexpr double kUnit = 0x1p-24;
constexpr double kExp = 0x1p-21;  // relative error that the header states
constexpr std::array kElements = {Element::kFloat32, Element::kBFloat16};
constexpr std::array<std::size_t, 9> kWidths = {1,  2,  15,  16, 34,
                                                64, 96, 130, 259};
constexpr std::array kActivations = {Activation::kSilu, Activation::kGelu,
                                     Activation::kRelu2, Activation::kSwiGlu,
                                     Activation::kGeGlu};
constexpr std::size_t kRows = 3;

class RowPasses : public ::testing::TestWithParam<SimdLevel> {};

INSTANTIATE_TEST_SUITE_P(Levels, RowPasses,
                         ::testing::ValuesIn(available_simd_levels().begin(),
                                             available_simd_levels().end()),
                         [](const auto& level) {
                           std::string name(simd_level_name(level.param));
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

using Function = std::function<double(const std::vector<double>&)>;

double difference(const Function& f, std::vector<double> x, std::size_t i) {
  constexpr double kStep = 1e-5;
  const double start = x[i];
  x[i] = start + kStep;
  const double above = f(x);
  x[i] = start - kStep;
  return (above - f(x)) / (2 * kStep);
}
// Of the difference: step^2 third derivatives, and 2^-52 / step.
constexpr double kDifference = 1e-7;

std::vector<double> row(const RowsMemory& m, std::size_t r, std::size_t n) {
  std::vector<double> values(n);
  for (std::size_t c = 0; c < n; ++c) values[c] = m.at(r, c);
  return values;
}

double inverse_of(const std::vector<double>& x, double eps) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return 1 / std::sqrt(sum / static_cast<double>(x.size()) + eps);
}

constexpr float kEps = 1e-5F;

TEST_P(RowPasses, NormIsThatOfFloat64) {
  for (const Element element : kElements) {
    for (const std::size_t n : kWidths) {
      RowsMemory x(kRows, n, Element::kFloat32, 1);
      RowsMemory gain(1, n, Element::kFloat32, 2);
      RowsMemory inverse(1, kRows, Element::kFloat32);
      RowsMemory y(kRows, n, element);
      rms_norm(kRows, n, x.floats(), x.stride(), gain.floats(), kEps, y.rows(),
               inverse.floats(), GetParam());
      // A lane adds n / 64 squares, a tree of six levels the lanes.
      const double bound = kUnit * (static_cast<double>(n) / 64 + 14);
      for (std::size_t r = 0; r < kRows; ++r) {
        const double scale = inverse_of(row(x, r, n), kEps);
        ASSERT_NEAR(inverse.at(0, r), scale, bound * scale);
        for (std::size_t c = 0; c < n; ++c) {
          const double expected = x.at(r, c) * scale * gain.at(0, c);
          ASSERT_NEAR(y.at(r, c), expected,
                      bound * std::abs(expected) + y.rounding(expected))
              << n << ": " << r << ", " << c;
        }
      }
      RowsMemory again(kRows, n, element);
      rms_norm_again(kRows, n, x.floats(), x.stride(), gain.floats(),
                     inverse.floats(), again.rows(), GetParam());
      ASSERT_TRUE(again.same(y));
      rms_norm(kRows, n, x.floats(), x.stride(), gain.floats(), kEps, y.rows(),
               nullptr, GetParam());
      ASSERT_TRUE(again.same(y));
      ASSERT_TRUE(y.padding_is_untouched() && inverse.padding_is_untouched());
    }
  }
}

TEST_P(RowPasses, NormsGradientIsTheDifferenceOfItsReference) {
  for (const Element element : kElements) {
    for (const std::size_t n : kWidths) {
      RowsMemory x(kRows, n, Element::kFloat32, 1);
      RowsMemory gain(1, n, Element::kFloat32, 2);
      RowsMemory dy(kRows, n, element, 3);
      RowsMemory dx(kRows, n, Element::kFloat32, 4);
      RowsMemory dgain(1, n, Element::kFloat32, 5);
      RowsMemory copy(kRows, n, element);
      const RowsMemory dx_before = dx;
      const RowsMemory dgain_before = dgain;
      std::vector<float> inverse(kRows);
      for (std::size_t r = 0; r < kRows; ++r) {
        inverse[r] = static_cast<float>(inverse_of(row(x, r, n), kEps));
      }
      rms_norm_backward(kRows, n, dy.rows(), x.floats(), x.stride(),
                        gain.floats(), inverse.data(), dx.floats(), dx.stride(),
                        copy.rows(), dgain.floats(), GetParam());
      const auto loss = [&](std::size_t r, const std::vector<double>& v) {
        const double scale = inverse_of(v, kEps);
        double sum = 0;
        for (std::size_t c = 0; c < n; ++c) {
          sum += dy.at(r, c) * v[c] * scale * gain.at(0, c);
        }
        return sum;
      };
      for (std::size_t c = 0; c < n; ++c) {
        double by_gain = dgain_before.at(0, c);
        double size = std::abs(by_gain);
        for (std::size_t r = 0; r < kRows; ++r) {
          const double u = x.at(r, c) * static_cast<double>(inverse[r]);
          by_gain += dy.at(r, c) * u;
          size += std::abs(dy.at(r, c) * u);
          double products = 0;
          for (std::size_t k = 0; k < n; ++k) {
            products += std::abs(dy.at(r, k) * gain.at(0, k) * x.at(r, k));
          }
          const double scale = static_cast<double>(inverse[r]);
          const double parts =
              scale * (std::abs(dy.at(r, c) * gain.at(0, c)) +
                       std::abs(u) * scale * products / static_cast<double>(n));
          const double change = difference(
              [&](const auto& v) { return loss(r, v); }, row(x, r, n), c);
          const double expected = dx_before.at(r, c) + change;
          ASSERT_NEAR(
              dx.at(r, c), expected,
              kUnit * ((static_cast<double>(n) / 64 + 20) * parts +
                       std::abs(expected)) +
                  kDifference * (1 + scale * scale * scale * (1 + products)))
              << n << ": " << r << ", " << c;
          ASSERT_NEAR(copy.at(r, c), dx.at(r, c), copy.rounding(dx.at(r, c)));
        }
        ASSERT_NEAR(dgain.at(0, c), by_gain, kUnit * 8 * size);
      }
      ASSERT_TRUE(dx.padding_is_untouched() && dgain.padding_is_untouched());
      ASSERT_TRUE(copy.padding_is_untouched());
      RowsMemory without = dx_before;
      RowsMemory unused = dgain_before;
      rms_norm_backward(kRows, n, dy.rows(), x.floats(), x.stride(),
                        gain.floats(), inverse.data(), without.floats(),
                        without.stride(), {}, unused.floats(), GetParam());
      ASSERT_TRUE(without.same(dx) && unused.same(dgain));
    }
  }
}

struct Heads {
  HeadPass pass;
  std::vector<float> cosine, sine;
};

Heads heads_of(std::size_t features, bool norm, bool rotate) {
  Heads h{{.heads = 3,
           .features = features,
           .first_position = 4,
           .context = 5,
           .norm = norm,
           .eps = kEps},
          {},
          {}};
  for (std::size_t i = 0; i < 5 * (features / 2); ++i) {
    const double angle = 0.37 * static_cast<double>(i);
    h.cosine.push_back(static_cast<float>(std::cos(angle)));
    h.sine.push_back(static_cast<float>(std::sin(angle)));
  }
  if (rotate) {
    h.pass.cosine = h.cosine.data();
    h.pass.sine = h.sine.data();
  }
  return h;
}

std::vector<double> prepared(const HeadPass& pass, std::size_t r,
                             const std::vector<double>& x) {
  std::vector<double> u = x;
  const std::size_t half = pass.features / 2;
  const double scale = pass.norm ? inverse_of(x, pass.eps) : 1;
  for (double& v : u) v *= scale;
  if (!pass.cosine) return u;
  std::vector<double> y(u);
  for (std::size_t j = 0; j < half; ++j) {
    const std::size_t i = (pass.first_position + r) % pass.context * half + j;
    const double c = pass.cosine[i];
    const double s = pass.sine[i];
    y[j] = u[j] * c - u[half + j] * s;
    y[half + j] = u[half + j] * c + u[j] * s;
  }
  return y;
}

TEST_P(RowPasses, HeadsAndTheirGradientAreThoseOfFloat64) {
  for (const std::size_t n : {2UL, 6UL, 32UL, 64UL, 74UL}) {
    for (const auto& [norm, rotate] :
         {std::pair{false, true}, {true, false}, {true, true}}) {
      for (const Element element : kElements) {
        const Heads h = heads_of(n, norm, rotate);
        const std::size_t all = 3 * n;
        RowsMemory y(kRows, all, element, 1);
        const RowsMemory x = y;
        RowsMemory d(kRows, all, element, 2);
        const RowsMemory dy = d;
        std::vector<float> inverse(kRows * 3);
        prepare_heads(kRows, h.pass, y.rows(), norm ? inverse.data() : nullptr,
                      GetParam());
        prepare_heads_backward(kRows, h.pass, y.rows(),
                               norm ? inverse.data() : nullptr, d.rows(),
                               GetParam());
        // The kept y is rounded to its element, and the mean reads it.
        const double kept = element == Element::kFloat32 ? kUnit : 0x1p-8;
        for (std::size_t r = 0; r < kRows; ++r) {
          for (std::size_t head = 0; head < 3; ++head) {
            std::vector<double> v(n);
            double size = 0;
            double gradient = 0;
            for (std::size_t c = 0; c < n; ++c) {
              v[c] = x.at(r, head * n + c);
              gradient += std::abs(dy.at(r, head * n + c));
            }
            const std::vector<double> expected = prepared(h.pass, r, v);
            for (const double e : expected) size = std::max(size, std::abs(e));
            const double scale = norm ? inverse_of(v, kEps) : 1;
            const Function loss = [&](const auto& in) {
              const auto out = prepared(h.pass, r, in);
              double sum = 0;
              for (std::size_t c = 0; c < n; ++c) {
                sum += out[c] * dy.at(r, head * n + c);
              }
              return sum;
            };
            for (std::size_t c = 0; c < n; ++c) {
              const std::size_t i = head * n + c;
              ASSERT_NEAR(y.at(r, i), expected[c],
                          kUnit * 20 * size + y.rounding(expected[c]))
                  << n << ": " << r << ", " << i;
              const double change = difference(loss, v, c);
              ASSERT_NEAR(d.at(r, i), change,
                          d.rounding(change) +
                              (20 * kUnit + (norm ? 4 * kept : 0)) * scale *
                                  (1 + size * size) * (1 + gradient) +
                              kDifference * (1 + scale * scale * scale) *
                                  (1 + gradient))
                  << n << ": " << r << ", " << i;
            }
          }
        }
        ASSERT_TRUE(y.padding_is_untouched() && d.padding_is_untouched());
      }
    }
  }
}

double value_of(Activation kind, double x) {
  if (kind == Activation::kRelu2) return x > 0 ? x * x : 0;
  if (kind == Activation::kSilu || kind == Activation::kSwiGlu) {
    return x / (1 + std::exp(-x));
  }
  const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(u));
}

TEST_P(RowPasses, ActivationsAndTheirGradientsAreThoseOfFloat64) {
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

TEST_P(RowPasses, ActivationsOfLargeValuesAreZeroOrTheValue) {
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

TEST_P(RowPasses, CrossEntropyIsThatOfFloat64) {
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

TEST_P(RowPasses, CrossEntropyOfRowsThatAreNotFinite) {
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

TEST_P(RowPasses, ATargetOutsideTheVocabularyIsRefusedBeforeAnythingIsWritten) {
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

TEST_P(RowPasses, ConvertRoundsToTheNearestTiesToEven) {
  const std::array<std::pair<std::uint32_t, std::uint32_t>, 9> cases = {{
      {0x3f808000, 0x3f80},  // a tie, even below
      {0x3f818000, 0x3f82},  // a tie, even above
      {0x3f808001, 0x3f81},
      {0x3f807fff, 0x3f80},
      {0x7f7fffff, 0x7f80},  // to infinity
      {0x80000001, 0x8000},
      {0x00018000, 0x0002},  // a denormal
      {0xff800000, 0xff80},
      {0x7f800001, 0x7fc0},  // a NaN stays one
  }};
  for (std::size_t n = 1; n < 70; ++n) {
    std::vector<float> from(n);
    std::vector<std::uint16_t> to(n + 1, 0x1234);
    for (std::size_t i = 0; i < n; ++i) {
      from[i] = std::bit_cast<float>(cases[i % 9].first);
    }
    convert(1, n, {from.data(), n}, {to.data(), n, Element::kBFloat16},
            GetParam());
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(to[i], cases[i % 9].second) << i << " of " << n;
    }
    ASSERT_EQ(to[n], 0x1234);
    std::vector<float> back(n + 1, 5.F);
    convert(1, n, {to.data(), n, Element::kBFloat16}, {back.data(), n},
            GetParam());
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]),
                cases[i % 9].second << 16);
    }
    ASSERT_EQ(back[n], 5.F);
  }
}

TEST_P(RowPasses, RoundsAtRandomByPhiloxAndRightInTheMean) {
  constexpr std::uint64_t kKey = 0x0123456789abcdef;
  constexpr std::uint64_t kCounter = 0xfffffffe;  // carries
  for (const std::size_t n : {0UL, 1UL, 7UL, 129UL, 1000UL}) {
    RowsMemory x(1, n, Element::kFloat32, 1);
    for (std::size_t i = 0; i < n; i += 11) x.set(0, i, INFINITY);
    if (n > 5) x.floats()[5] = std::bit_cast<float>(0xff80ffffU);  // a NaN
    std::vector<std::uint16_t> to(n + 1, 0x1234);
    round_stochastically(n, x.floats(), to.data(), kKey, kCounter, GetParam());
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t counter = kCounter + i / 8;
      const auto block =
          core::philox4x32({static_cast<std::uint32_t>(counter),
                            static_cast<std::uint32_t>(counter >> 32), 0, 0},
                           {static_cast<std::uint32_t>(kKey),
                            static_cast<std::uint32_t>(kKey >> 32)});
      const std::uint32_t random = block[i % 8 / 2] >> (i % 2 * 16) & 0xffff;
      const auto bits = std::bit_cast<std::uint32_t>(x.floats()[i]);
      const float stored = std::bit_cast<float>(std::uint32_t{to[i]} << 16);
      if (i == 5) {
        ASSERT_TRUE(std::isnan(stored));
        continue;
      }
      ASSERT_EQ(to[i], (bits >> 16) + ((bits & 0xffff) > random)) << i;
    }
    ASSERT_EQ(to[n], 0x1234);
  }
  constexpr std::size_t kN = 40000;
  const std::vector<float> same(kN, std::bit_cast<float>(0x3f804000U));
  std::vector<std::uint16_t> to(kN);
  round_stochastically(kN, same.data(), to.data(), 5, 0, GetParam());
  // A quarter goes up; six standard deviations of the binomial distribution.
  const auto up = static_cast<double>(std::ranges::count(to, 0x3f81));
  EXPECT_NEAR(up, kN / 4.0, 6 * std::sqrt(kN * 3 / 16.0));
}

TEST_P(RowPasses, AddsTheRowsWhoseIndicesAreInTheRange) {
  for (const std::size_t n : kWidths) {
    RowsMemory from(6, n, Element::kFloat32, 1);
    RowsMemory table(5, n, Element::kFloat32, 2);
    RowsMemory expected = table;
    const std::vector<std::int64_t> index = {1, 4, 3, 1, 0, 3};
    for (std::size_t r = 0; r < 6; ++r) {
      if (index[r] < 1 || index[r] >= 4) continue;
      const auto at = static_cast<std::size_t>(index[r]);
      for (std::size_t c = 0; c < n; ++c) {
        expected.floats()[at * expected.stride() + c] +=
            from.floats()[r * from.stride() + c];
      }
    }
    add_rows_at(6, n, from.floats(), from.stride(), index.data(), 1, 4,
                table.floats(), table.stride(), GetParam());
    ASSERT_TRUE(table.same(expected));
    ASSERT_TRUE(table.padding_is_untouched());
  }
}

// Everything once, with values far from ordinary too.
std::vector<RowsMemory> everything(SimdLevel level, std::size_t n, Element a,
                                   Element b) {
  const auto f = Element::kFloat32;
  RowsMemory x(kRows, n, f, 1);
  for (std::size_t c = 0; c < n; c += 7) x.set(c % kRows, c, 1e-40);
  RowsMemory gain(1, n, f, 2);
  RowsMemory inverse(1, 3 * kRows, f);
  RowsMemory y(kRows, n, a);
  rms_norm(kRows, n, x.floats(), x.stride(), gain.floats(), kEps, y.rows(),
           inverse.floats(), level);
  RowsMemory dx(kRows, n, f, 3);
  RowsMemory dgain(1, n, f, 4);
  RowsMemory copy(kRows, n, b);
  rms_norm_backward(kRows, n, y.rows(), x.floats(), x.stride(), gain.floats(),
                    inverse.floats(), dx.floats(), dx.stride(), copy.rows(),
                    dgain.floats(), level);
  const Heads h = heads_of(2 * n, true, true);
  RowsMemory heads(kRows, 6 * n, a, 5);
  RowsMemory d_heads(kRows, 6 * n, b, 6);
  prepare_heads(kRows, h.pass, heads.rows(), inverse.floats(), level);
  prepare_heads_backward(kRows, h.pass, heads.rows(), inverse.floats(),
                         d_heads.rows(), level);
  std::vector<RowsMemory> all = {y, inverse, dx, dgain, copy, heads, d_heads};
  for (const Activation kind : kActivations) {
    RowsMemory in(kRows, 2 * n, a, 7, /*size=*/40);
    RowsMemory out(kRows, n, b);
    in.set(0, 0, INFINITY);
    in.set(1, n / 2, -INFINITY);
    in.set(2, n - 1, NAN);
    activate(kind, kRows, n, in.rows(), out.rows(), level);
    all.push_back(out);
    RowsMemory d(kRows, n, b, 8);
    activate_backward(kind, kRows, n, in.rows(), d.rows(), level);
    all.push_back(in);
    all.push_back(d);
  }
  RowsMemory logits(kRows, n, a, 9, /*size=*/30);
  RowsMemory losses(1, kRows, f);
  RowsMemory d(kRows, n, b);
  const std::vector<std::int64_t> targets(kRows, 0);
  cross_entropy(kRows, n, logits.rows(), targets.data(), 0.3F, losses.floats(),
                d.rows(), level);
  all.push_back(losses);
  all.push_back(d);
  return all;
}

TEST_P(RowPasses, HaveTheScalarLevelsBits) {
  for (const std::size_t n : {1UL, 15UL, 16UL, 65UL, 1100UL}) {
    for (const Element a : kElements) {
      for (const Element b : kElements) {
        const auto expected = everything(SimdLevel::kScalar, n, a, b);
        const auto found = everything(GetParam(), n, a, b);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          ASSERT_TRUE(found[i].same(expected[i]))
              << "output " << i << " of " << n;
          ASSERT_TRUE(found[i].padding_is_untouched()) << "output " << i;
        }
      }
    }
  }
}

// exp(-v) = 1/silu' stripped down: x / silu(x) - 1, where it is not lost.
TEST_P(RowPasses, TheExponentialIsWithinItsBound) {
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

TEST(RowPassesTables, EveryInstructionSetHasATableOfItsOwn) {
  std::vector<const RowPassesTable*> tables;
  for (const SimdLevel level : available_simd_levels()) {
    if (level != SimdLevel::kAvx512Bf16) {
      tables.push_back(&row_passes_table(level));
    }
  }
  std::ranges::sort(tables);
  EXPECT_EQ(std::ranges::adjacent_find(tables), tables.end());
}

}  // namespace
}  // namespace muonlab::kernels
