// The row passes at every level: conversion, an embedding's gradient, and that
// all levels give the scalar one's bits.
#include "muonlab/kernels/row_passes.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "muonlab/kernels/row_passes_internal.h"
#include "tests/kernels/row_passes_cases.h"

namespace muonlab::kernels {
namespace {

using testing::Heads;
using testing::heads_of;
using testing::kActivations;
using testing::kElements;
using testing::kEps;
using testing::kRows;
using testing::kWidths;
using testing::RowsMemory;

class RowPasses : public testing::AtEveryLevel {};

INSTANTIATE_TEST_SUITE_P(Levels, RowPasses, testing::every_level(),
                         testing::level_name);

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
