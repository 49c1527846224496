// Packed products at every level against sums in double: all sizes around the
// panel's 16 and the strips' 32 and 48, both elements, all outputs.
#include "muonlab/kernels/product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "muonlab/kernels/polar.h"
#include "muonlab/kernels/product_tables_internal.h"
#include "muonlab/kernels/simd_level.h"
#include "tests/support/expect_error.h"

namespace muonlab::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Matrix {
  std::size_t rows = 0, columns = 0, stride = 0;
  std::vector<float> values;  // rows are followed by NaN
  [[nodiscard]] float at(std::size_t r, std::size_t c) const {
    return values[r * stride + c];
  }
};

float rounded_to_bfloat16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits += 0x7fff + ((bits >> 16) & 1);
  bits &= 0xffff0000;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

Matrix random_matrix(std::size_t rows, std::size_t columns, unsigned seed,
                     Element element) {
  Matrix m{rows, columns, columns + 3, {}};
  m.values.assign(rows * m.stride + 1, kNan);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const float x = normal(random);
      m.values[r * m.stride + c] =
          element == Element::kFloat32 ? x : rounded_to_bfloat16(x);
    }
  }
  return m;
}

// Packed matrices in memory that starts as NaN: padding that nobody writes
// would show.
class Bench {
 public:
  explicit Bench(SimdLevel level, std::size_t threads = 1)
      : table_(product_table(level)), state_(threads), team_(state_, 0) {
    memory_.reserve(kBytes);
    std::byte* all = memory_.take(kBytes - 256);
    auto* floats = reinterpret_cast<float*>(all);
    std::fill_n(floats, (kBytes - 256) / sizeof(float), kNan);
    memory_.reserve(kBytes);
    scratch_.sums =
        reinterpret_cast<float*>(memory_.take(ProductScratch::bytes()));
  }

  Packed make(std::size_t rows, std::size_t depth, Element element) {
    return memory_.take(PackedShape(rows, depth, element));
  }

  double pack_to(const Matrix& m, const Packed* same, const Packed* transpose) {
    std::vector<double> parts(pack_parts(m.rows, m.columns));
    MatrixView view{m.values.data(), m.stride};
    Packing packing;
    packing.source = {fill_from_matrix, &view};
    packing.rows = m.rows;
    packing.columns = m.columns;
    packing.targets[0] = {.same = same, .transpose = transpose};
    packing.target_count = 1;
    packing.partial_sums = parts.data();
    return pack(team_, table_, packing, scratch_);
  }

  Packed packed(const Matrix& m, Element element) {
    const Packed p = make(m.rows, m.columns, element);
    (void)pack_to(m, &p, nullptr);
    return p;
  }

  void run(const Product& product) {
    multiply(team_, table_, product, scratch_);
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{1} << 23;
  Workspace memory_;
  const ProductTable& table_;
  TeamState state_;
  Team team_;
  ProductScratch scratch_;
};

float value(const Packed& p, std::size_t row, std::size_t k) {
  const bool wide = p.shape.element() == Element::kFloat32;
  const std::byte* line = p.line(row / 16, wide ? k : k / 2);
  if (wide) {
    float x;
    std::memcpy(&x, line + row % 16 * 4, 4);
    return x;
  }
  std::uint16_t half;
  std::memcpy(&half, line + row % 16 * 4 + k % 2 * 2, 2);
  const std::uint32_t bits = std::uint32_t{half} << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

struct Expected {
  double value = 0;
  double bound = 0;
};

// k products and the end's three roundings, each by at most half a unit of the
// sum of magnitudes; bfloat16 outputs add 2^-8 of the value.
Expected expected(const Matrix& a, const Matrix& b, std::size_t i,
                  std::size_t j, double alpha, double extra) {
  double sum = 0;
  double magnitude = 0;
  for (std::size_t k = 0; k < a.columns; ++k) {
    const double x = static_cast<double>(a.at(i, k)) * b.at(j, k);
    sum += x;
    magnitude += std::abs(x);
  }
  const double eps = std::numeric_limits<float>::epsilon();
  const auto terms = static_cast<double>(a.columns + 4);
  return {alpha * sum + extra,
          terms * eps * (std::abs(alpha) * magnitude + std::abs(extra))};
}

void expect_close(float got, const Expected& e, Element element,
                  const std::string& where) {
  const double stored = element == Element::kFloat32
                            ? 0
                            : std::ldexp(std::abs(e.value) + e.bound, -8);
  EXPECT_LE(std::abs(static_cast<double>(got) - e.value), e.bound + stored)
      << where << ": got " << got << ", expected " << e.value;
}

class Products : public ::testing::TestWithParam<SimdLevel> {};

TEST_P(Products, FullProductsOfAllSizes) {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    for (const std::size_t rows : {1U, 7U, 8U, 9U, 17U, 33U, 64U, 67U}) {
      for (const std::size_t columns : {1U, 15U, 16U, 31U, 48U, 65U, 80U}) {
        for (const std::size_t depth : {1U, 2U, 3U, 16U, 67U, 331U}) {
          Bench bench(GetParam());
          const Matrix a = random_matrix(rows, depth, 1, element);
          const Matrix b = random_matrix(columns, depth, 2, element);
          const Matrix add = random_matrix(rows, columns, 3, element);
          const Packed addend = bench.make(columns, rows, element);
          (void)bench.pack_to(add, nullptr, &addend);
          const Packed same = bench.make(rows, columns, element);
          const Packed transpose = bench.make(columns, rows, element);
          std::vector<float> out(rows * (columns + 1) + 1, kNan);
          Product p;
          p.left = bench.packed(a, element);
          p.right = bench.packed(b, element);
          p.alpha = 0.5F;
          p.beta = -1.25F;
          p.addend = &addend;
          p.targets[0] = {.same = &same, .transpose = &transpose};
          p.target_count = 1;
          p.rows = out.data();
          p.rows_stride = columns + 1;
          bench.run(p);
          for (std::size_t i = 0; i < rows; ++i) {
            for (std::size_t j = 0; j < columns; ++j) {
              const Expected e =
                  expected(a, b, i, j, 0.5, -1.25 * add.at(i, j));
              const std::string where =
                  concat(rows, "x", columns, "x", depth, " at ", i, ",", j);
              expect_close(out[i * (columns + 1) + j], e, Element::kFloat32,
                           where);
              expect_close(value(same, i, j), e, element, where);
              ASSERT_EQ(value(same, i, j), value(transpose, j, i)) << where;
            }
            // Nothing is written beyond a row.
            ASSERT_TRUE(std::isnan(out[i * (columns + 1) + columns]));
          }
        }
      }
    }
  }
}

TEST_P(Products, PaddingIsZero) {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    Bench bench(GetParam());
    const Matrix a = random_matrix(21, 37, 1, element);
    const Packed same = bench.make(21, 37, element);
    const Packed transpose = bench.make(37, 21, element);
    (void)bench.pack_to(a, &same, &transpose);
    for (std::size_t r = 0; r < 32; ++r) {
      for (std::size_t k = 0; k < 48; ++k) {
        const float x = r < 21 && k < 37 ? a.at(r, k) : 0;
        ASSERT_EQ(value(same, r, k), x) << r << "," << k;
        ASSERT_EQ(value(transpose, k, r), x) << r << "," << k;
      }
    }
  }
}

TEST_P(Products, TransposedRowsForTallMatrices) {
  Bench bench(GetParam());
  const Matrix a = random_matrix(19, 40, 1, Element::kFloat32);
  const Matrix b = random_matrix(50, 40, 2, Element::kFloat32);
  std::vector<float> out(50 * 20, kNan);
  Product p;
  p.left = bench.packed(a, Element::kFloat32);
  p.right = bench.packed(b, Element::kFloat32);
  p.rows = out.data();
  p.rows_stride = 20;
  p.rows_transposed = true;
  bench.run(p);
  for (std::size_t j = 0; j < 50; ++j) {
    for (std::size_t i = 0; i < 19; ++i) {
      expect_close(out[j * 20 + i], expected(a, b, i, j, 1, 0),
                   Element::kFloat32, concat(i, ",", j));
    }
    ASSERT_TRUE(std::isnan(out[j * 20 + 19]));
  }
}

// A and B that do not commute: their product is not symmetric, so what is
// stored shows which triangle it came from.
TEST_P(Products, SymmetricOnesAreMirroredToTheBit) {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    for (const std::size_t n :
         {1U, 5U, 8U, 9U, 16U, 23U, 32U, 49U, 67U, 340U}) {
      Bench bench(GetParam());
      const Matrix a = random_matrix(n, 70, 1, element);
      const Matrix b = random_matrix(n, 70, 2, element);
      const Packed c = bench.make(n, n, element);
      const Packed shifted = bench.make(n, n, Element::kFloat32);
      const Packed plain = bench.make(n, n, Element::kFloat32);
      Product p;
      p.left = bench.packed(a, element);
      p.right = bench.packed(b, element);
      p.symmetric = true;
      p.targets[0] = {.same = &shifted, .diagonal = 2.5F};
      p.targets[1] = {.same = &c};
      p.targets[2] = {.same = &plain};
      p.target_count = 3;
      bench.run(p);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
          const std::string where = concat(n, " at ", i, ",", j);
          expect_close(value(c, i, j), expected(a, b, i, j, 1, 0), element,
                       where);
          ASSERT_EQ(value(c, i, j), value(c, j, i)) << where;
          ASSERT_EQ(value(plain, i, j), value(plain, j, i)) << where;
          ASSERT_EQ(value(shifted, i, j),
                    value(plain, i, j) + (i == j ? 2.5F : 0.0F))
              << where;
          ASSERT_EQ(value(shifted, i, j), value(shifted, j, i)) << where;
        }
      }
    }
  }
}

TEST_P(Products, SumOfSquaresIsThatOfTheScalarLevel) {
  const ProductTable& table = product_table(GetParam());
  const ProductTable& scalar = product_table(SimdLevel::kScalar);
  const Matrix m = random_matrix(1, 5000, 4, Element::kFloat32);
  for (std::size_t n = 0; n < 68; ++n) {
    for (std::size_t offset = 0; offset < 3; ++offset) {
      EXPECT_EQ(table.sum_of_squares(m.values.data() + offset, n),
                scalar.sum_of_squares(m.values.data() + offset, n))
          << n;
    }
  }
  double exact = 0;
  for (std::size_t i = 0; i < 5000; ++i) exact += std::pow(m.at(0, i), 2);
  EXPECT_NEAR(table.sum_of_squares(m.values.data(), 5000), exact,
              5000 * std::numeric_limits<double>::epsilon() * exact);
}

TEST_P(Products, BurstsCountWhatTheyDo) {
  const ProductTable& table = product_table(GetParam());
  EXPECT_GT(table.burst_flops_float32, 0U);
  EXPECT_GE(table.burst_flops_bfloat16, table.burst_flops_float32);
  EXPECT_TRUE(std::isfinite(table.burst_float32(100)));
  EXPECT_TRUE(std::isfinite(table.burst_bfloat16(100)));
}

std::string level_name(const ::testing::TestParamInfo<SimdLevel>& info) {
  std::string name(simd_level_name(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Levels, Products,
                         ::testing::ValuesIn(available_simd_levels().begin(),
                                             available_simd_levels().end()),
                         level_name);

TEST(PackedShape, CutsTheDepthIntoEqualBlocksOfWholeTiles) {
  for (const Element element : {Element::kFloat32, Element::kBFloat16}) {
    for (std::size_t depth = 1; depth < 2000; depth += 7) {
      const PackedShape shape(33, depth, element);
      std::size_t lines = 0;
      for (std::size_t b = 0; b < shape.blocks(); ++b) {
        EXPECT_GT(shape.lines_of_block(b), 0U);
        EXPECT_LE(shape.lines_of_block(b), shape.block_lines());
        EXPECT_EQ(shape.lines_of_block(b) % 8, 0U);
        lines += shape.lines_of_block(b);
      }
      EXPECT_EQ(lines, shape.lines());
      EXPECT_EQ(shape.bytes(), 3 * lines * 64);
      EXPECT_EQ(shape.offset(2, shape.lines() - 1) + 64, shape.bytes());
    }
  }
}

TEST(PackedShape, SizesThatOverflowAreRefused) {
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max() / 4;
  testing::expect_error(ErrorKind::kInvalidArgument, {"too large"},
                        [] { (void)PackedShape(kHuge, 3, Element::kFloat32); });
  testing::expect_error(ErrorKind::kInvalidArgument, {"too large"}, [] {
    (void)PackedShape(kHuge / 64, kHuge / 64, Element::kBFloat16);
  });
}

TEST(Workspace, RefusesMoreThanItHas) {
  Workspace memory;
  memory.reserve(4096);
  (void)memory.take(1000);
  testing::expect_error(ErrorKind::kInvalidArgument, {"bytes asked for"},
                        [&] { (void)memory.take(memory.capacity()); });
}

}  // namespace
}  // namespace muonlab::kernels
