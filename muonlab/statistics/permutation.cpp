#include "muonlab/statistics/permutation.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

// The next choice of k out of n in lexicographic order; false after the last.
bool next_choice(std::vector<std::size_t>& chosen, std::size_t n) {
  const std::size_t k = chosen.size();
  std::size_t i = k;
  while (i > 0 && chosen[i - 1] == n - k + (i - 1)) --i;
  if (i == 0) return false;
  ++chosen[i - 1];
  for (std::size_t j = i; j < k; ++j) chosen[j] = chosen[j - 1] + 1;
  return true;
}

}  // namespace

SignFlip sign_flip_test(std::span<const double> differences) {
  check_sample("sign-flip test", differences, 2);
  const std::size_t n = differences.size();
  MUONLAB_CHECK(n <= kMostForSignFlip, "sign-flip test: got ", n,
                " differences, expected at most ", kMostForSignFlip,
                ", since all 2^n sign patterns are tried");
  SignFlip result;
  result.floor = std::ldexp(1.0, 1 - static_cast<int>(n));
  if (n < kFewestForTest) return result;
  double observed = 0;
  double total = 0;
  for (const double d : differences) {
    observed += d;
    total += std::abs(d);
  }
  // Patterns with the same exact sum must count as reaching it although their
  // terms were added in another order.
  const double rounding =
      static_cast<double>(n) * std::numeric_limits<double>::epsilon() * total;
  const double threshold = std::abs(observed) - rounding;
  // A pattern and its mirror image have the same |sum|: half of them suffice.
  const std::uint32_t patterns = std::uint32_t{1} << (n - 1);
  std::uint32_t reached = 0;
  for (std::uint32_t pattern = 0; pattern < patterns; ++pattern) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += ((pattern >> i) & 1U) != 0 ? -differences[i] : differences[i];
    }
    if (std::abs(sum) >= threshold) ++reached;
  }
  result.p = static_cast<double>(reached) / static_cast<double>(patterns);
  return result;
}

double label_splits(std::size_t n1, std::size_t n2) {
  double splits = 1;
  for (std::size_t i = 1; i <= n1; ++i) {
    // Exact while below 2^53: i divides the product of i successive numbers.
    splits = splits * static_cast<double>(n2 + i) / static_cast<double>(i);
  }
  return splits;
}

LabelPermutation label_permutation_test(std::span<const double> first,
                                        std::span<const double> second) {
  check_sample("label permutation test", first, 2);
  check_sample("label permutation test", second, 2);
  const double splits = label_splits(first.size(), second.size());
  MUONLAB_CHECK(splits <= kMostSplits, "label permutation test: got ", splits,
                " splits of ", first.size(), " and ", second.size(),
                " values, expected at most ", kMostSplits,
                ", since all of them are tried");
  LabelPermutation result;
  result.floor = 2 / splits;
  if (std::min(first.size(), second.size()) < kFewestForTest) return result;
  // Centred, so that sums of values that share many digits keep the others.
  std::vector<double> values(first.begin(), first.end());
  values.insert(values.end(), second.begin(), second.end());
  const double center = mean(values);
  const double magnitude = largest_magnitude(values);
  for (double& value : values) value -= center;
  const auto n1 = static_cast<double>(first.size());
  const auto n2 = static_cast<double>(second.size());
  const double total = std::accumulate(values.begin(), values.end(), 0.0);
  std::vector<std::size_t> chosen(first.size());
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  const auto difference = [&] {
    double sum = 0;
    for (const std::size_t i : chosen) sum += values[i];
    return sum / n1 - (total - sum) / n2;
  };
  // As in the sign-flip test: splits of the same exact difference all count.
  const double observed = difference();
  const double rounding =
      (n1 + n2) * std::numeric_limits<double>::epsilon() * magnitude;
  double below = 0;
  double above = 0;
  do {
    const double now = difference();
    if (now <= observed + rounding) below += 1;
    if (now >= observed - rounding) above += 1;
  } while (next_choice(chosen, values.size()));
  result.p = std::min(1.0, 2 * std::min(below, above) / splits);
  return result;
}

}  // namespace muonlab::statistics
