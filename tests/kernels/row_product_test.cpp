// Packing of rows and columns, and their products, at every level: sums in
// double, odd sizes, unaligned rows between NaN.
#include "muonlab/kernels/row_product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/kernels/matrix.h"
#include "tests/kernels/padded.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

using ::muonlab::testing::expect_error;
using ::muonlab::testing::from_bfloat16;
using ::muonlab::testing::Matrix;
using ::muonlab::testing::to_bfloat16;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr Element kElements[] = {Element::kFloat32, Element::kBFloat16};

// Packed memory and scratch that start as NaN.
class Memory {
 public:
  explicit Memory(const PackedShape& shape) {
    const std::size_t scratch_bytes = row_product_scratch_bytes();
    workspace_.reserve(Workspace::rounded(shape.bytes()) +
                       Workspace::rounded(scratch_bytes));
    packed = workspace_.take(shape);
    scratch = workspace_.take(scratch_bytes);
    std::memset(packed.data, 0xff, shape.bytes());
    std::memset(scratch, 0xff, scratch_bytes);
  }

  Packed packed;
  std::byte* scratch = nullptr;

 private:
  Workspace workspace_;
};

float packed_entry(const Packed& packed, std::size_t row, std::size_t k) {
  const std::size_t panel = row / 16;
  if (packed.shape.element() == Element::kFloat32) {
    float x;
    std::memcpy(&x, packed.line(panel, k) + row % 16 * 4, sizeof x);
    return x;
  }
  std::uint16_t x;
  std::memcpy(&x, packed.line(panel, k / 2) + (row % 16 * 2 + k % 2) * 2,
              sizeof x);
  return from_bfloat16(x);
}

class RowProducts : public ::testing::TestWithParam<SimdLevel> {};

TEST_P(RowProducts, PackingKeepsEntriesAndZeroesPadding) {
  std::uint64_t seed = 1;
  for (const Element from : kElements) {
    for (const Element to : kElements) {
      for (const auto& [rows, depth] :
           {std::pair<std::size_t, std::size_t>{1, 1},
            {16, 16},
            {17, 31},
            {40, 32},
            {5, 349},
            {33, 675}}) {
        for (const bool columns : {false, true}) {
          SCOPED_TRACE(::testing::Message()
                       << rows << " x " << depth << " columns " << columns);
          Matrix m = columns ? Matrix::random(depth, rows, from, ++seed)
                             : Matrix::random(rows, depth, from, ++seed);
          // Ties both ways, what rounds up to infinity, and denormals.
          const std::uint32_t special[] = {0x3f808000, 0x3f818000, 0x7f7fffff,
                                           0xff800000, 0x7f800001, 0x00018000,
                                           0x80000001};
          const std::size_t n = std::min<std::size_t>(7, m.columns());
          for (std::size_t i = 0; i < n; ++i) {
            m.set(m.rows() - 1, m.columns() - n + i,
                  std::bit_cast<float>(special[i]));
          }
          Memory memory(PackedShape(rows, depth, to));
          const Packed& packed = memory.packed;
          const std::size_t panels = packed.shape.panels();
          const std::size_t half = panels / 2;
          const auto pack = columns ? pack_columns : pack_rows;
          pack(packed, m.view(), half, panels, GetParam());
          pack(packed, m.view(), 0, half, GetParam());
          std::size_t wrong = 0;
          const std::size_t padded =
              packed.shape.lines() * (to == Element::kBFloat16 ? 2 : 1);
          for (std::size_t r = 0; r < panels * 16; ++r) {
            for (std::size_t k = 0; k < padded; ++k) {
              float expected = 0;
              if (r < rows && k < depth) {
                expected = columns ? m.at(k, r) : m.at(r, k);
                if (to == Element::kBFloat16) {
                  expected = from_bfloat16(to_bfloat16(expected));
                }
              }
              wrong += !::muonlab::testing::same_bits(
                  packed_entry(packed, r, k), expected);
            }
          }
          EXPECT_EQ(wrong, 0);
          EXPECT_TRUE(m.padding_is_untouched());
        }
      }
    }
  }
}

struct Size {
  std::size_t rows, depth, columns;
};

// |error| of a float32 sum of n products, in any order, of a scale and of one
// addition.
double allowance(std::size_t n, double absolute, double result,
                 Element element) {
  const double units = static_cast<double>(n + 3) * 0x1p-24 * 1.01;
  const double sum = units * absolute + 0x1p-140;
  return element == Element::kFloat32
             ? sum
             : sum + 0x1p-8 * 1.01 * (std::abs(result) + sum);
}

TEST_P(RowProducts, RowsAreSumsInDouble) {
  std::uint64_t seed = 100;
  for (const Element element : kElements) {
    for (const Size& s :
         {Size{1, 1, 1}, Size{8, 16, 48}, Size{13, 37, 50}, Size{40, 345, 17},
          Size{9, 677, 97}, Size{300, 64, 100}, Size{270, 330, 400}}) {
      for (const bool with_addend : {false, true}) {
        for (const Element out : kElements) {
          SCOPED_TRACE(::testing::Message()
                       << s.rows << " x " << s.depth << " x " << s.columns
                       << " addend " << with_addend);
          Matrix left = Matrix::random(s.rows, s.depth, element, ++seed);
          Matrix right = Matrix::random(s.columns, s.depth, element, ++seed);
          Matrix addend =
              Matrix::random(s.rows, s.columns, Element::kFloat32, ++seed);
          Matrix result(s.rows, s.columns, out);
          for (std::size_t c = 0; c < s.columns; ++c) result.set(0, c, kNan);
          Memory memory(PackedShape(s.columns, s.depth, element));
          pack_rows(memory.packed, right.view(), 0,
                    memory.packed.shape.panels(), GetParam());
          const RowProduct product{
              .left = left.view(),
              .right = memory.packed,
              .addend = with_addend ? ConstRows(addend.view()) : ConstRows{},
              .result = result.view()};
          multiply_rows(product, 0, s.rows, memory.scratch, GetParam());
          double worst = 0;
          for (std::size_t r = 0; r < s.rows; ++r) {
            for (std::size_t c = 0; c < s.columns; ++c) {
              double exact = with_addend ? addend.at(r, c) : 0;
              double absolute = std::abs(exact);
              for (std::size_t k = 0; k < s.depth; ++k) {
                const double x = static_cast<double>(left.at(r, k)) *
                                 static_cast<double>(right.at(c, k));
                exact += x;
                absolute += std::abs(x);
              }
              const double error = std::abs(result.at(r, c) - exact) /
                                   allowance(s.depth, absolute, exact, out);
              worst = error <= worst ? worst : error;  // NaN is worst
            }
          }
          EXPECT_LE(worst, 1);
          EXPECT_TRUE(result.padding_is_untouched());
        }
      }
    }
  }
}

TEST_P(RowProducts, TransposedAreSumsInDouble) {
  std::uint64_t seed = 200;
  for (const Element element : kElements) {
    for (const Size& s :
         {Size{1, 1, 1}, Size{8, 16, 48}, Size{13, 37, 50}, Size{40, 345, 17},
          Size{9, 677, 97}, Size{300, 64, 100}, Size{270, 330, 400}}) {
      for (const bool accumulate : {false, true}) {
        SCOPED_TRACE(::testing::Message()
                     << s.rows << " x " << s.depth << " x " << s.columns
                     << " accumulate " << accumulate);
        constexpr float kScale = 0.7F;
        Matrix left = Matrix::random(s.depth, s.rows, element, ++seed);
        Matrix right = Matrix::random(s.depth, s.columns, element, ++seed);
        Matrix before =
            Matrix::random(s.rows, s.columns, Element::kFloat32, ++seed);
        Matrix result = before;
        if (!accumulate) result.set(0, 0, kNan);
        Memory memory(PackedShape(1, 1, element));
        const Rows view = result.view();
        multiply_transposed({.left = left.view(),
                             .right = right.view(),
                             .depth = s.depth,
                             .columns = s.columns,
                             .accumulate = accumulate,
                             .scale = kScale,
                             .result = static_cast<float*>(view.data),
                             .result_stride = view.stride},
                            0, s.rows, memory.scratch, GetParam());
        double worst = 0;
        for (std::size_t r = 0; r < s.rows; ++r) {
          for (std::size_t c = 0; c < s.columns; ++c) {
            double exact = accumulate ? before.at(r, c) : 0;
            double absolute = std::abs(exact);
            for (std::size_t k = 0; k < s.depth; ++k) {
              const double x = static_cast<double>(kScale) *
                               static_cast<double>(left.at(k, r)) *
                               static_cast<double>(right.at(k, c));
              exact += x;
              absolute += std::abs(x);
            }
            const double error =
                std::abs(result.at(r, c) - exact) /
                allowance(s.depth, absolute, exact, Element::kFloat32);
            worst = error <= worst ? worst : error;
          }
        }
        EXPECT_LE(worst, 1);
        EXPECT_TRUE(result.padding_is_untouched());
      }
    }
  }
}

// In parts that no block's border divides: the same bits, and no other row.
TEST_P(RowProducts, PartsDoNotChangeResults) {
  constexpr std::size_t kRows = 277;
  constexpr std::size_t kDepth = 341;
  constexpr std::size_t kColumns = 70;
  constexpr std::size_t kCuts[] = {0, 3, 20, 21, 150, kRows};
  for (const Element element : kElements) {
    Matrix left = Matrix::random(kRows, kDepth, element, 1);
    Matrix tall = Matrix::random(kDepth, kRows, element, 2);
    Matrix right = Matrix::random(kDepth, kColumns, element, 3);
    Memory memory(PackedShape(kColumns, kDepth, element));
    pack_columns(memory.packed, right.view(), 0, memory.packed.shape.panels(),
                 GetParam());
    const auto rows = [&](Matrix& result, std::size_t begin, std::size_t end) {
      multiply_rows({.left = left.view(),
                     .right = memory.packed,
                     .addend = {},
                     .result = result.view()},
                    begin, end, memory.scratch, GetParam());
    };
    const auto transposed = [&](Matrix& result, std::size_t begin,
                                std::size_t end) {
      const Rows view = result.view();
      multiply_transposed({.left = tall.view(),
                           .right = right.view(),
                           .depth = kDepth,
                           .columns = kColumns,
                           .accumulate = false,
                           .scale = 1.5F,
                           .result = static_cast<float*>(view.data),
                           .result_stride = view.stride},
                          begin, end, memory.scratch, GetParam());
    };
    const auto check = [&](const auto& multiply) {
      Matrix whole(kRows, kColumns, Element::kFloat32);
      Matrix parts(kRows, kColumns, Element::kFloat32);
      multiply(whole, 0, kRows);
      for (std::size_t i = 0; i + 1 < std::size(kCuts); ++i) {
        Matrix before = parts;
        multiply(parts, kCuts[i], kCuts[i + 1]);
        std::size_t wrong = 0;
        for (std::size_t r = 0; r < kRows; ++r) {
          const bool inside = r >= kCuts[i] && r < kCuts[i + 1];
          const Matrix& expected = inside ? whole : before;
          for (std::size_t c = 0; c < kColumns; ++c) {
            wrong += std::bit_cast<std::uint32_t>(parts.at(r, c)) !=
                     std::bit_cast<std::uint32_t>(expected.at(r, c));
          }
        }
        EXPECT_EQ(wrong, 0) << "part " << i;
      }
    };
    check(rows);
    check(transposed);
  }
}

TEST_P(RowProducts, NonFiniteValuesStayInTheirRowAndColumn) {
  for (const Element element : kElements) {
    Matrix left(20, 5, element);
    Matrix right(18, 5, element);
    for (std::size_t k = 0; k < 5; ++k) {
      for (std::size_t r = 0; r < 20; ++r) left.set(r, k, 1);
      for (std::size_t c = 0; c < 18; ++c) right.set(c, k, 2);
    }
    left.set(3, 4, kNan);
    left.set(7, 0, -kInfinity);
    right.set(17, 2, kInfinity);
    Matrix result(20, 18, Element::kBFloat16);
    Memory memory(PackedShape(18, 5, element));
    pack_rows(memory.packed, right.view(), 0, 2, GetParam());
    multiply_rows({.left = left.view(),
                   .right = memory.packed,
                   .addend = {},
                   .result = result.view()},
                  0, 20, memory.scratch, GetParam());
    for (std::size_t r = 0; r < 20; ++r) {
      for (std::size_t c = 0; c < 18; ++c) {
        const bool nan = r == 3 || (r == 7 && c == 17);
        const float expected = nan       ? kNan
                               : r == 7  ? -kInfinity
                               : c == 17 ? kInfinity
                                         : 10.0F;
        EXPECT_TRUE(::muonlab::testing::same_bits(result.at(r, c), expected))
            << r << ", " << c << ": " << result.at(r, c);
      }
    }
  }
}

TEST_P(RowProducts, AddendMayBeTheResultAndDepthNothing) {
  Matrix left = Matrix::random(11, 20, Element::kFloat32, 1);
  Matrix right = Matrix::random(20, 20, Element::kFloat32, 2);
  Matrix addend = Matrix::random(11, 20, Element::kFloat32, 3);
  Matrix result(11, 20, Element::kFloat32);
  Matrix in_place = addend;
  Memory memory(PackedShape(20, 20, Element::kFloat32));
  pack_rows(memory.packed, right.view(), 0, 2, GetParam());
  RowProduct product{.left = left.view(),
                     .right = memory.packed,
                     .addend = addend.view(),
                     .result = result.view()};
  multiply_rows(product, 0, 11, memory.scratch, GetParam());
  product.addend = in_place.view();
  product.result = in_place.view();
  multiply_rows(product, 0, 11, memory.scratch, GetParam());
  for (std::size_t i = 0; i < 220; ++i) {
    ASSERT_EQ(result.at(i / 20, i % 20), in_place.at(i / 20, i % 20));
  }
  product.right = {PackedShape(20, 0, Element::kFloat32), nullptr};
  product.addend = addend.view();
  multiply_rows(product, 0, 11, memory.scratch, GetParam());
  const Rows view = result.view();
  for (std::size_t i = 0; i < 220; ++i) {
    ASSERT_EQ(addend.at(i / 20, i % 20), in_place.at(i / 20, i % 20));
  }
  multiply_transposed({.left = {},
                       .right = {},
                       .depth = 0,
                       .columns = 20,
                       .accumulate = false,
                       .scale = 1,
                       .result = static_cast<float*>(view.data),
                       .result_stride = view.stride},
                      0, 11, memory.scratch, GetParam());
  for (std::size_t i = 0; i < 220; ++i) {
    ASSERT_EQ(result.at(i / 20, i % 20), 0);
  }
}

TEST_P(RowProducts, WrongSizesAreErrors) {
  constexpr ErrorKind kWrong = ErrorKind::kInvalidArgument;
  Matrix left = Matrix::random(4, 6, Element::kFloat32, 1);
  Matrix half = Matrix::random(4, 6, Element::kBFloat16, 1);
  Matrix result(4, 4, Element::kFloat32);
  Memory memory(PackedShape(4, 6, Element::kFloat32));
  const Packed& packed = memory.packed;
  const SimdLevel level = GetParam();
  expect_error(kWrong, {"panels", "2"},
               [&] { pack_rows(packed, left.view(), 0, 2, level); });
  ConstRows narrow = left.view();
  narrow.stride = 5;
  expect_error(kWrong, {"6", "5"},
               [&] { pack_rows(packed, narrow, 0, 1, level); });
  pack_rows(packed, left.view(), 0, 1, level);
  const RowProduct good{.left = left.view(),
                        .right = packed,
                        .addend = {},
                        .result = result.view()};
  const auto rows = [&](const RowProduct& product, std::size_t begin,
                        std::byte* scratch) {
    return [&, product, begin, scratch] {
      multiply_rows(product, begin, 4, scratch, level);
    };
  };
  EXPECT_NO_THROW(rows(good, 0, memory.scratch)());
  expect_error(kWrong, {"5", "4"}, rows(good, 5, memory.scratch));
  expect_error(kWrong, {"scratch"}, rows(good, 0, memory.scratch + 4));
  expect_error(kWrong, {"scratch"}, rows(good, 0, nullptr));
  RowProduct bad = good;
  bad.left = half.view();
  expect_error(kWrong, {"element"}, rows(bad, 0, memory.scratch));
  bad = good;
  bad.left.stride = 5;
  expect_error(kWrong, {"left"}, rows(bad, 0, memory.scratch));
  bad = good;
  bad.result.stride = 3;
  expect_error(kWrong, {"result"}, rows(bad, 0, memory.scratch));
  bad = good;
  bad.addend = half.view();
  expect_error(kWrong, {"addend"}, rows(bad, 0, memory.scratch));
  const Rows view = result.view();
  const TransposedProduct mixed{.left = left.view(),
                                .right = half.view(),
                                .depth = 4,
                                .columns = 4,
                                .result = static_cast<float*>(view.data),
                                .result_stride = view.stride};
  expect_error(kWrong, {"element"}, [&] {
    multiply_transposed(mixed, 0, 4, memory.scratch, level);
  });
  TransposedProduct wide = mixed;
  wide.right = left.view();
  EXPECT_NO_THROW(multiply_transposed(wide, 0, 4, memory.scratch, level));
  wide.left.stride = 3;
  expect_error(kWrong, {"left"},
               [&] { multiply_transposed(wide, 0, 4, memory.scratch, level); });
}

std::string level_name(const ::testing::TestParamInfo<SimdLevel>& info) {
  std::string name(simd_level_name(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Levels, RowProducts,
                         ::testing::ValuesIn(available_simd_levels().begin(),
                                             available_simd_levels().end()),
                         level_name);

}  // namespace
}  // namespace muonlab::kernels
