#include "muonlab/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "tests/support/expect_error.h"

namespace muonlab::data {
namespace {

using testing::expect_error;
using Starts = std::vector<std::int64_t>;

Starts all_ranks(SamplerOptions options, std::int64_t world,
                 std::int64_t step) {
  Starts result;
  options.world = world;
  for (options.rank = 0; options.rank < world; ++options.rank) {
    const Starts part = Sampler(options).starts(step);
    result.insert(result.end(), part.begin(), part.end());
  }
  return result;
}

TEST(Sampler, IsAPureFunctionOfItsOptionsAndTheStep) {
  const SamplerOptions options = {
      .n_tokens = 10'000, .context = 16, .batch = 8, .seed = 5};
  const Sampler a(options);
  const Sampler b(options);
  const Starts later = a.starts(1000);
  for (std::int64_t step = 0; step < 5; ++step) (void)a.starts(step);
  EXPECT_EQ(a.starts(1000), later);
  EXPECT_EQ(b.starts(1000), later);
  SamplerOptions other = options;
  other.seed = 6;
  EXPECT_NE(Sampler(other).starts(1000), later);
}

TEST(Sampler, RanksTogetherSeeTheBatchOfOneRank) {
  const SamplerOptions options = {
      .n_tokens = 5000, .context = 32, .batch = 12, .seed = 1};
  for (std::int64_t step = 0; step < 40; ++step) {
    const Starts one = Sampler(options).starts(step);
    EXPECT_EQ(one.size(), 12U);
    for (const std::int64_t world : {2, 3, 4, 6, 12}) {
      EXPECT_EQ(all_ranks(options, world, step), one) << "world " << world;
    }
  }
}

TEST(Sampler, EveryEpochPredictsEveryTokenOfItsRangeOnce) {
  for (const std::int64_t n_tokens : {17, 31, 32, 33, 100, 1000, 4097}) {
    for (const std::int64_t world : {1, 2, 4}) {
      const SamplerOptions options = {
          .n_tokens = n_tokens, .context = 16, .batch = 4, .seed = 9};
      const std::int64_t windows = Sampler(options).windows_per_epoch();
      // As many steps as end four epochs together.
      std::map<std::int64_t, std::vector<Starts::value_type>> epochs;
      std::int64_t sequence = 0;
      for (std::int64_t step = 0; step < windows; ++step) {
        for (const std::int64_t start : all_ranks(options, world, step)) {
          epochs[sequence++ / windows].push_back(start);
        }
      }
      ASSERT_EQ(epochs.size(), 4U);
      for (auto& [epoch, starts] : epochs) {
        std::sort(starts.begin(), starts.end());
        ASSERT_EQ(std::ssize(starts), windows);
        EXPECT_GE(starts.front(), 0);
        EXPECT_LT(starts.front(), 16);
        // Targets reach one token further than the window.
        EXPECT_LE(starts.back() + 16 + 1, n_tokens);
        for (std::size_t i = 1; i < starts.size(); ++i) {
          ASSERT_EQ(starts[i], starts[i - 1] + 16);
        }
        EXPECT_LT(n_tokens - 1 - windows * 16, 2 * 16);
      }
    }
  }
}

TEST(Sampler, EpochsDifferInOrderAndOffset) {
  const SamplerOptions options = {
      .n_tokens = 16 * 101, .context = 16, .batch = 100, .seed = 2};
  const Sampler sampler(options);
  ASSERT_EQ(sampler.windows_per_epoch(), 100);
  std::set<std::int64_t> offsets;
  std::set<Starts> orders;
  for (std::int64_t step = 0; step < 200; ++step) {
    EXPECT_EQ(sampler.epoch(step), step);
    Starts starts = sampler.starts(step);
    const std::int64_t offset = starts[0] % 16;
    for (auto& start : starts) start = (start - offset) / 16;
    offsets.insert(offset);
    orders.insert(starts);
    EXPECT_FALSE(std::is_sorted(starts.begin(), starts.end()));
  }
  EXPECT_EQ(offsets.size(), 16U);
  EXPECT_EQ(orders.size(), 200U);
}

TEST(Sampler, EveryWindowComesFirstEquallyOften) {
  // Chi-square with 9 degrees of freedom: 33.7 has probability 1e-4.
  const SamplerOptions options = {
      .n_tokens = 16 * 11, .context = 16, .batch = 10, .seed = 3};
  const Sampler sampler(options);
  ASSERT_EQ(sampler.windows_per_epoch(), 10);
  constexpr int kEpochs = 5000;
  std::vector<int> first(10, 0);
  for (std::int64_t step = 0; step < kEpochs; ++step) {
    ++first[static_cast<std::size_t>(sampler.starts(step)[0] / 16)];
  }
  double chi_square = 0;
  for (const int count : first) {
    chi_square += std::pow(count - kEpochs / 10.0, 2) / (kEpochs / 10.0);
  }
  EXPECT_LT(chi_square, 33.7);
}

TEST(Sampler, RefusesWhatCannotBeDealt) {
  const auto make = [](SamplerOptions options) {
    return [options] { const Sampler sampler(options); };
  };
  const auto kind = ErrorKind::kInvalidArgument;
  expect_error(kind, {"got 16, expected at least 17", "shorter context"},
               make({.n_tokens = 16, .context = 16, .batch = 1}));
  EXPECT_NO_THROW(make({.n_tokens = 17, .context = 16, .batch = 1})());
  expect_error(kind, {"batch: got 6", "multiple of 4"},
               make({.n_tokens = 99, .context = 9, .batch = 6, .world = 4}));
  expect_error(kind, {"batch: got 0"},
               make({.n_tokens = 99, .context = 9, .batch = 0}));
  expect_error(kind, {"context: got 0"},
               make({.n_tokens = 99, .context = 0, .batch = 1}));
  expect_error(
      kind, {"rank: got 2"},
      make({.n_tokens = 99, .context = 9, .batch = 2, .rank = 2, .world = 2}));
  const Sampler sampler({.n_tokens = 99, .context = 9, .batch = 1});
  expect_error(kind, {"step: got -1"}, [&] { (void)sampler.starts(-1); });
}

TEST(Sampler, DealsOutGivenWindowsOnceAnEpochInAnotherOrder) {
  const Starts windows = {40, 3, 17, 18, 91, 0, 55};
  SamplerOptions options = {
      .n_tokens = 100, .context = 8, .batch = 3, .seed = 4, .windows = windows};
  const Sampler sampler(options);
  EXPECT_EQ(sampler.windows_per_epoch(), 7);
  Starts dealt;
  for (std::int64_t step = 0; step < 7 * 40; ++step) {
    const Starts some = sampler.starts(step);
    EXPECT_EQ(sampler.epoch(step), step * 3 / 7);
    dealt.insert(dealt.end(), some.begin(), some.end());
    EXPECT_EQ(all_ranks(options, 3, step), some);
  }
  Starts sorted = windows;
  std::sort(sorted.begin(), sorted.end());
  std::set<Starts> orders;
  for (auto epoch = dealt.begin(); epoch != dealt.end(); epoch += 7) {
    Starts order(epoch, epoch + 7);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, sorted);
  }
  // 120 of 5,040 orders: two equal ones have probability 0.76, five pairs more
  // than the expected 1.4 less than 0.01.
  EXPECT_GE(orders.size(), 114U);
  options.seed = 5;
  EXPECT_NE(Sampler(options).starts(0), sampler.starts(0));
}

TEST(Sampler, AGivenWindowMayComeTwiceAndAlone) {
  const Sampler twice({.n_tokens = 20,
                       .context = 8,
                       .batch = 4,
                       .seed = 4,
                       .windows = {11, 11, 0, 0}});
  Starts step = twice.starts(0);
  std::sort(step.begin(), step.end());
  EXPECT_EQ(step, (Starts{0, 0, 11, 11}));
  const Sampler alone(
      {.n_tokens = 20, .context = 8, .batch = 2, .windows = {7}});
  EXPECT_EQ(alone.starts(5), (Starts{7, 7}));
}

TEST(Sampler, RefusesWindowsOutsideTheTokens) {
  const auto refused = [](std::int64_t start, const std::string& words) {
    expect_error(ErrorKind::kInvalidArgument, {words, "expected 0 to 11"},
                 [start] {
                   const Sampler sampler({.n_tokens = 20,
                                          .context = 8,
                                          .batch = 1,
                                          .windows = {3, start}});
                 });
  };
  refused(-1, "windows: got one at token -1");
  refused(12, "windows: got one at token 12");
  // Its last target is the last token.
  EXPECT_NO_THROW(
      Sampler({.n_tokens = 20, .context = 8, .batch = 1, .windows = {11, 0}}));
}

TEST(HeldOutStarts, CoverTheTokensWithoutGapOrOverlap) {
  EXPECT_EQ(held_out_starts(33, 8), (Starts{0, 8, 16, 24}));
  EXPECT_EQ(held_out_starts(32, 8), (Starts{0, 8, 16}));
  EXPECT_EQ(held_out_starts(33, 8, 2), (Starts{0, 8}));
  EXPECT_EQ(held_out_starts(33, 8, 100), (Starts{0, 8, 16, 24}));
  expect_error(ErrorKind::kInvalidArgument, {"got 8, expected at least 9"},
               [] { (void)held_out_starts(8, 8); });
}

}  // namespace
}  // namespace muonlab::data
