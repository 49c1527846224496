#include "muonlab/data/window_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "muonlab/core/error.h"
#include "tests/support/expect_error.h"

namespace muonlab::data {
namespace {

using ::testing::ElementsAre;
using testing::expect_error;
using Starts = std::vector<std::int64_t>;

Starts head(const Starts& starts, std::ptrdiff_t count) {
  return {starts.begin(), starts.begin() + count};
}

// Changes when any two entries change places.
std::int64_t weighted_sum(const Starts& starts) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    sum += static_cast<std::int64_t>(i + 1) * starts[i];
  }
  return sum;
}

struct Golden {
  std::int64_t n;
  std::uint64_t seed;
  Starts first;
  std::int64_t weighted_sum;
};

TEST(TorchRandperm, GivesWhatPyTorchGives) {
  // torch.randperm(n, generator=torch.Generator().manual_seed(seed)) of PyTorch
  // 2.13 on the CPU, and the sum of (i + 1) r[i].
  const std::vector<Golden> goldens = {
      {7, 42, {1, 6, 3, 5}, 76},
      {1000, 0, {44, 37, 675, 775}, 252'167'352},
      {29'744, 42, {22534, 26722, 7698, 7327}, 6'603'864'553'208},
      {65'536, 0, {2732, 16885, 5287, 21807}, 70'387'716'618'698},
      {65'537, 42, {31877, 15796, 63168, 62203}, 70'213'955'131'507},
      {300'000, 42, {37542, 237471, 14100, 54295}, 6'749'151'280'060'274},
      // The high half of a seed does not count.
      {300'000,
       (std::uint64_t{1} << 32) + 42,
       {37542, 237471, 14100, 54295},
       6'749'151'280'060'274}};
  for (const Golden& golden : goldens) {
    const Starts order = torch_randperm(golden.n, golden.seed);
    EXPECT_EQ(head(order, 4), golden.first) << golden.n;
    EXPECT_EQ(weighted_sum(order), golden.weighted_sum) << golden.n;
  }
}

TEST(TorchRandperm, HandlesTheSmallestAndRefusesTheRest) {
  EXPECT_TRUE(torch_randperm(0, 42).empty());
  EXPECT_THAT(torch_randperm(1, 42), ElementsAre(0));
  expect_error(ErrorKind::kInvalidArgument, {"got -1", "expected 0 to"},
               [] { (void)torch_randperm(-1, 42); });
  expect_error(ErrorKind::kInvalidArgument, {"got 214748364"},
               [] { (void)torch_randperm(214'748'364, 42); });
}

// The published study: 30,000 tokens and context 256, 500,000 and 512.
TEST(WindowSplit, IsThatOfTheStudy) {
  const WindowSplit small = window_split(30'000, 256);
  EXPECT_EQ(small.n_tokens, 30'000);
  EXPECT_EQ(small.context, 256);
  EXPECT_EQ(std::ssize(small.train), 26'770);
  EXPECT_EQ(std::ssize(small.validation), 2'974);
  EXPECT_THAT(head(small.train, 6),
              ElementsAre(22534, 26722, 7698, 7327, 15150, 16984));
  EXPECT_THAT(head(small.validation, 6),
              ElementsAre(26199, 7380, 18563, 16799, 20074, 13519));

  const WindowSplit large = window_split(500'000, 512);
  EXPECT_EQ(std::ssize(large.train), 449'540);
  EXPECT_EQ(std::ssize(large.validation), 49'948);
  EXPECT_THAT(head(large.train, 4),
              ElementsAre(286182, 139605, 488314, 158572));
  EXPECT_THAT(head(large.validation, 4),
              ElementsAre(428982, 481650, 225528, 25530));
}

TEST(WindowSplit, PartsTogetherAreAllWindows) {
  const WindowSplit split = window_split(130, 3, 7, 0.25);
  EXPECT_EQ(std::ssize(split.validation), 31);  // floor(127 / 4)
  Starts all = split.train;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  EXPECT_EQ(all, torch_randperm(127, 7));
}

TEST(WindowSplit, SharesOfATenthAreExact) {
  // 0.1 is no float64: floor(n * 0.1) must still be n div 10.
  for (std::int64_t n = 10; n < 3000; ++n) {
    EXPECT_EQ(std::ssize(window_split(n + 1, 1).validation), n / 10) << n;
  }
}

TEST(WindowSplit, RefusesWhatCannotBeSplit) {
  expect_error(ErrorKind::kInvalidArgument, {"context: got 0"},
               [] { (void)window_split(100, 0); });
  expect_error(ErrorKind::kInvalidArgument, {"got 9 windows of 91 in 100"},
               [] { (void)window_split(100, 91); });
  expect_error(ErrorKind::kInvalidArgument, {"got 0 windows"},
               [] { (void)window_split(5, 8); });
  for (const double share : {0.0, 1.0, -0.5}) {
    expect_error(ErrorKind::kInvalidArgument, {"held_out_share: got"},
                 [=] { (void)window_split(100, 1, 42, share); });
  }
  EXPECT_EQ(std::ssize(window_split(100, 90).validation), 1);
}

TEST(WindowRule, ComesBackFromItsText) {
  EXPECT_EQ(WindowRule().text(), "windows/mt19937/seed=42/held_out=0.1");
  const WindowRule rule =
      WindowRule::parse(WindowRule{.seed = 7, .held_out_share = 0.25}.text());
  EXPECT_EQ(rule.seed, 7U);
  EXPECT_EQ(rule.held_out_share, 0.25);
  for (const char* text :
       {"", "windows/", "windows/mt19937/seed=/held_out=0.1",
        "windows/mt19937/seed=42/held_out=", "windows/philox/seed=42",
        "windows/mt19937/seed=-1/held_out=0.1",
        "windows/mt19937/seed=42/held_out=1",
        "windows/mt19937/seed=42/held_out=0.1/more",
        "sha256/muonlab-split-v1/held_out=0.1"}) {
    expect_error(ErrorKind::kCorruptData, {"split rule: got", text},
                 [=] { (void)WindowRule::parse(text); });
  }
}

TEST(Leakage, CountsByHand) {
  // Targets of the trained windows: 11 12 13, 12 13 14 and again, 21 22 23.
  const Starts trained = {11, 20, 10, 11};
  // Targets 13 14 15: trained 3, 2 and 0 times; nearest 11, at distance 1.
  const Leakage near = leakage(trained, Starts{12}, 3);
  EXPECT_EQ(near.targets, 3);
  EXPECT_EQ(near.untrained_targets, 1);
  EXPECT_DOUBLE_EQ(near.mean_trainings, 5.0 / 3);
  EXPECT_EQ(near.largest_distance, 1);
  EXPECT_EQ(near.neighbours, 1);
  // And 17 18 19: none; nearest 20. And 31 32 33: none; nearest 20.
  const Leakage all = leakage(trained, Starts{12, 16, 30}, 3);
  EXPECT_EQ(all.targets, 9);
  EXPECT_EQ(all.untrained_targets, 7);
  EXPECT_DOUBLE_EQ(all.mean_trainings, 5.0 / 9);
  EXPECT_DOUBLE_EQ(all.mean_distance, (1.0 + 4.0 + 10.0) / 3);
  EXPECT_EQ(all.largest_distance, 10);
  EXPECT_EQ(all.neighbours, 1);
}

// Experiment 1 of the study: 600 steps of 32 windows, 96 windows evaluated.
// Expected numbers from NumPy, by counting for each token.
TEST(Leakage, OfTheStudyIsTotal) {
  const WindowSplit split = window_split(30'000, 256);
  const Leakage result = leakage(std::span(split.train).first(600 * 32),
                                 std::span(split.validation).first(96), 256);
  EXPECT_EQ(result.targets, 24'576);
  EXPECT_EQ(result.untrained_targets, 0);
  EXPECT_DOUBLE_EQ(result.mean_trainings, 4'023'694.0 / 24'576);
  EXPECT_DOUBLE_EQ(result.mean_distance, 110.0 / 96);
  EXPECT_EQ(result.largest_distance, 3);
  EXPECT_EQ(result.neighbours, 83);
}

TEST(Leakage, RefusesWhatHasNoAnswer) {
  const Starts one = {5};
  expect_error(ErrorKind::kInvalidArgument, {"trained windows: got 0"},
               [&] { (void)leakage({}, one, 3); });
  expect_error(ErrorKind::kInvalidArgument, {"evaluated windows: got 0"},
               [&] { (void)leakage(one, {}, 3); });
  expect_error(ErrorKind::kInvalidArgument, {"context: got 0"},
               [&] { (void)leakage(one, one, 0); });
  expect_error(ErrorKind::kInvalidArgument, {"starts from -1 to 5"},
               [&] { (void)leakage(Starts{5, -1}, one, 3); });
}

}  // namespace
}  // namespace muonlab::data
