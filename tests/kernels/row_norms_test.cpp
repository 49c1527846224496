// RMSNorm and the passes over heads at every level: against float64, and
// gradients against central differences of the float64 reference.
#include "muonlab/kernels/row_passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/kernels/row_passes_cases.h"

namespace muonlab::kernels {
namespace {

using testing::difference;
using testing::Heads;
using testing::heads_of;
using testing::kDifference;
using testing::kElements;
using testing::kEps;
using testing::kRows;
using testing::kUnit;
using testing::kWidths;
using testing::row;
using testing::RowsMemory;

class RowNorms : public testing::AtEveryLevel {};

INSTANTIATE_TEST_SUITE_P(Levels, RowNorms, testing::every_level(),
                         testing::level_name);

double inverse_of(const std::vector<double>& x, double eps) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return 1 / std::sqrt(sum / static_cast<double>(x.size()) + eps);
}

TEST_P(RowNorms, NormIsThatOfFloat64) {
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

TEST_P(RowNorms, NormsGradientIsTheDifferenceOfItsReference) {
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

TEST_P(RowNorms, HeadsAndTheirGradientAreThoseOfFloat64) {
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
            const auto loss = [&](const auto& in) {
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

}  // namespace
}  // namespace muonlab::kernels
