#include "muonlab/kernels/elementwise_list.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/kernels/padded.h"

namespace muonlab::kernels {
namespace {

using testing::normal_values;
using testing::same_array;

// Empty ones, ones below and above a piece, and exact multiples.
const std::vector<std::size_t> kSizes = {
    0, 1, 100, kPieceSize, kPieceSize + 1, 0, 5 * kPieceSize, 90001, 0};
constexpr std::array<std::size_t, 3> kThreads = {1, 2, 5};

std::vector<std::vector<float>> random_arrays(std::uint64_t seed) {
  std::vector<std::vector<float>> arrays;
  for (const std::size_t size : kSizes) {
    arrays.push_back(normal_values(size, seed));
  }
  return arrays;
}

TEST(ForEachPiece, CoversEveryValueOnceByWholePieces) {
  for (const std::size_t threads : kThreads) {
    std::vector<std::vector<int>> visits;
    std::size_t pieces = 0;
    for (const std::size_t size : kSizes) {
      visits.emplace_back(size);
      pieces += (size + kPieceSize - 1) / kPieceSize;
    }
    std::vector<int> numbers(pieces);
    for_each_piece(kSizes, core::shared_pool(threads), [&](const Piece& p) {
      EXPECT_EQ(p.begin % kPieceSize, 0U);
      EXPECT_TRUE(p.size == kPieceSize || p.begin + p.size == kSizes[p.array]);
      for (std::size_t i = 0; i < p.size; ++i) ++visits[p.array][p.begin + i];
      ++numbers.at(p.number);
    });
    for (std::size_t i = 0; i < kSizes.size(); ++i) {
      EXPECT_EQ(visits[i], std::vector<int>(kSizes[i], 1)) << "array " << i;
    }
    EXPECT_EQ(numbers, std::vector<int>(pieces, 1));
  }
}

TEST(ForEachPiece, ThrowsWhatABodyThrows) {
  EXPECT_THROW(for_each_piece(kSizes, core::shared_pool(2),
                              [](const Piece& piece) {
                                if (piece.array == 6) {
                                  throw std::out_of_range("sixth");
                                }
                              }),
               std::out_of_range);
}

TEST(ElementwiseList, AShortListStaysOnTheCallingThread) {
  const std::vector<std::size_t> sizes(kPiecesOfOneThread, kPieceSize);
  const auto caller = std::this_thread::get_id();
  for_each_piece(sizes, core::shared_pool(2), [&](const Piece&) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
}

TEST(ElementwiseList, SummariesAreThoseOfEachArray) {
  const auto arrays = random_arrays(1);
  std::vector<ConstArray> list;
  for (const auto& array : arrays) list.push_back({array.data(), array.size()});
  for (const std::size_t threads : kThreads) {
    const auto found = summarise_list(list, core::shared_pool(threads));
    ASSERT_EQ(found.size(), list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
      const GradientSummary expected =
          summarise(list[i].data, list[i].size, SimdLevel::kScalar);
      EXPECT_EQ(found[i].sum_of_squares, expected.sum_of_squares);
      EXPECT_EQ(found[i].largest_magnitude, expected.largest_magnitude);
      EXPECT_TRUE(found[i].finite);
    }
  }
}

TEST(ElementwiseList, AdamIsThatOfEachArrayForAnyThreadCount) {
  const AdamScalars scalars{.beta1 = 0.9F,
                            .one_minus_beta1 = 0.1F,
                            .beta2 = 0.95F,
                            .one_minus_beta2 = 0.05F,
                            .eps = 1e-8F,
                            .coupling = {.keep = 0.99F, .step = 0.01F}};
  const auto g = random_arrays(2);
  auto w = random_arrays(3);
  auto m = random_arrays(4);
  auto v = random_arrays(2);
  for (auto& array : v) {
    for (float& x : array) x *= x;
  }
  const auto w0 = w;
  const auto m0 = m;
  const auto v0 = v;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    adam_step(w[i].data(), g[i].data(), m[i].data(), v[i].data(), kSizes[i],
              scalars);
  }
  for (const std::size_t threads : kThreads) {
    auto w1 = w0;
    auto m1 = m0;
    auto v1 = v0;
    std::vector<AdamTask> tasks;
    for (std::size_t i = 0; i < kSizes.size(); ++i) {
      tasks.push_back({w1[i].data(), g[i].data(), m1[i].data(), v1[i].data(),
                       kSizes[i], scalars});
    }
    adam_list(tasks, core::shared_pool(threads));
    for (std::size_t i = 0; i < kSizes.size(); ++i) {
      EXPECT_TRUE(same_array(w1[i], w[i])) << threads << " threads";
      EXPECT_TRUE(same_array(m1[i], m[i])) << threads << " threads";
      EXPECT_TRUE(same_array(v1[i], v[i])) << threads << " threads";
    }
  }
}

// The lists of the rules with one state array.
template <typename Scalars, typename Step, typename List>
void expect_list_of_steps(const Scalars& scalars, Step step, List list) {
  const auto g = random_arrays(5);
  auto w = random_arrays(6);
  auto m = random_arrays(7);
  auto w1 = w;
  auto m1 = m;
  std::vector<StepTask<Scalars>> tasks;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    step(w[i].data(), g[i].data(), m[i].data(), kSizes[i], scalars,
         SimdLevel::kScalar);
    tasks.push_back(
        {w1[i].data(), g[i].data(), m1[i].data(), kSizes[i], scalars});
  }
  list(tasks, core::shared_pool(2), active_simd_level());
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    EXPECT_TRUE(same_array(w1[i], w[i])) << "array " << i;
    EXPECT_TRUE(same_array(m1[i], m[i])) << "array " << i;
  }
}

TEST(ElementwiseList, LionSgdAndSignumAreThoseOfEachArray) {
  constexpr Coupling kCoupling{.keep = 0.9F, .step = 0.1F};
  expect_list_of_steps(LionScalars{.beta1 = 0.9F,
                                   .one_minus_beta1 = 0.1F,
                                   .beta2 = 0.99F,
                                   .one_minus_beta2 = 0.01F,
                                   .coupling = kCoupling},
                       lion_step, lion_list);
  expect_list_of_steps(SgdScalars{.momentum = 0.9F, .coupling = kCoupling},
                       sgd_step, sgd_list);
  expect_list_of_steps(
      SignumScalars{
          .momentum = 0.9F, .one_minus_momentum = 0.1F, .coupling = kCoupling},
      signum_step, signum_list);
}

}  // namespace
}  // namespace muonlab::kernels
