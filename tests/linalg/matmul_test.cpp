#include "muonlab/linalg/matmul.h"

#include <torch/torch.h>

#include <limits>
#include <string>

#include "tests/support/tensors.h"

namespace muonlab::linalg {
namespace {

using testing::random_tensor;
using testing::same_bits;

struct Product {
  std::int64_t m, k, n;
};

// Around the size where the road changes (32^3), vectors, and odd sizes.
constexpr Product kProducts[] = {
    {1, 1, 1},    {1, 7, 1},     {3, 1, 5},     {31, 32, 32},  {32, 32, 32},
    {33, 32, 32}, {1, 300, 200}, {200, 300, 1}, {65, 129, 67}, {96, 384, 96}};

// Each float product of k terms is off by at most k * eps/2 * sum |a b|; this
// is twice that, element by element.
void expect_product(const at::Tensor& actual, const at::Tensor& a,
                    const at::Tensor& b, double eps) {
  ASSERT_EQ(actual.sizes(), (std::vector<std::int64_t>{a.size(0), b.size(1)}));
  const at::Tensor left = a.to(at::kDouble);
  const at::Tensor right = b.to(at::kDouble);
  const at::Tensor bound =
      left.abs().mm(right.abs()) * (static_cast<double>(a.size(1)) * eps);
  const at::Tensor off = (actual.to(at::kDouble) - left.mm(right)).abs();
  // Written so that NaN fails.
  EXPECT_TRUE(off.le(bound).all().item<bool>())
      << a.sizes() << " times " << b.sizes() << ", off by "
      << off.max().item<double>();
}

TEST(Matmul, EqualsTheExactProductWithinItsRoundingInFloat) {
  for (const auto& [m, k, n] : kProducts) {
    const at::Tensor a = random_tensor({m, k}, 1).to(at::kFloat);
    const at::Tensor b = random_tensor({k, n}, 2).to(at::kFloat);
    constexpr double kEps = std::numeric_limits<float>::epsilon();
    const at::Tensor c = linalg::matmul(a, b);
    EXPECT_EQ(c.scalar_type(), at::kFloat);
    expect_product(c, a, b, kEps);
    expect_product(at::mm(a, b), a, b, kEps);
  }
}

TEST(Matmul, TakesTransposedAndStridedViews) {
  for (const auto& [m, k, n] : kProducts) {
    const at::Tensor a = random_tensor({k, m}, 3).to(at::kFloat).t();
    const at::Tensor b = random_tensor({n, k}, 4).to(at::kFloat).t();
    const at::Tensor wide = random_tensor({m, 2 * k}, 5).to(at::kFloat);
    const at::Tensor strided = wide.narrow(1, k / 2, k);
    constexpr double kEps = std::numeric_limits<float>::epsilon();
    expect_product(linalg::matmul(a, b), a, b, kEps);
    expect_product(linalg::matmul(strided, b), strided, b, kEps);
    expect_product(linalg::matmul(strided.t(), a), strided.t(), a, kEps);
  }
}

TEST(Matmul, OfDoublesIsMm) {
  for (const auto& [m, k, n] : kProducts) {
    const at::Tensor a = random_tensor({m, k}, 6);
    const at::Tensor b = random_tensor({k, n}, 7);
    EXPECT_TRUE(same_bits(linalg::matmul(a, b), at::mm(a, b)));
  }
}

TEST(Matmul, OfABatchIsThatOfItsMembers) {
  for (const auto& [m, k, n] : kProducts) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const at::Tensor a = random_tensor({3, m, k}, 10).to(type);
      const at::Tensor b = random_tensor({3, n, k}, 11).to(type).mT();
      const at::Tensor c = linalg::matmul(a, b);
      ASSERT_EQ(c.sizes(), (std::vector<std::int64_t>{3, m, n}));
      const double eps = type == at::kFloat
                             ? std::numeric_limits<float>::epsilon()
                             : std::numeric_limits<double>::epsilon();
      for (std::int64_t i = 0; i < 3; ++i) {
        // Twice: the reference here is rounded in doubles itself.
        expect_product(c[i], a[i], b[i], 2 * eps);
      }
    }
  }
}

TEST(Matmul, RepeatsBitForBit) {
  for (const auto& [m, k, n] : kProducts) {
    const at::Tensor a = random_tensor({m, k}, 8).to(at::kFloat);
    const at::Tensor b = random_tensor({k, n}, 9).to(at::kFloat);
    const at::Tensor first = linalg::matmul(a, b);
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(same_bits(linalg::matmul(a, b), first));
      EXPECT_TRUE(same_bits(linalg::matmul(a.clone(), b.clone()), first));
    }
  }
}

TEST(Matmul, NamesItsBackend) {
  const std::string name = matmul_backend();
  EXPECT_TRUE(name == "onednn" || name == "aten") << name;
}

}  // namespace
}  // namespace muonlab::linalg
