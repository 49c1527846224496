#include "muonlab/data/window_split.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <string_view>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab::data {

namespace {

constexpr std::int64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();

constexpr std::string_view kSeedPart = "mt19937/seed=";
constexpr std::string_view kSharePart = "/held_out=";

// Both take what they name off the front of `text`.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

template <typename Number>
bool take_number(std::string_view& text, Number& value) {
  const auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return code == std::errc();
}

void check_share(double share) {
  MUONLAB_CHECK(share > 0 && share < 1, "window split: held_out_share: got ",
                share, ", expected a number in (0, 1)");
}

void check_starts(std::string_view which,
                  std::span<const std::int64_t> starts) {
  MUONLAB_CHECK(!starts.empty(), "leakage: ", which,
                " windows: got 0, expected 1 or more");
  const auto [low, high] = std::minmax_element(starts.begin(), starts.end());
  MUONLAB_CHECK(*low >= 0 && *high <= kMaxUint32, "leakage: ", which,
                " windows: got starts from ", *low, " to ", *high,
                ", expected 0 to 2^32 - 1");
}

std::int64_t distance_to_nearest(std::span<const std::int64_t> sorted,
                                 std::int64_t start) {
  const auto above = std::lower_bound(sorted.begin(), sorted.end(), start);
  std::int64_t nearest = std::numeric_limits<std::int64_t>::max();
  if (above != sorted.end()) nearest = *above - start;
  if (above != sorted.begin()) {
    nearest = std::min(nearest, start - *std::prev(above));
  }
  return nearest;
}

}  // namespace

std::vector<std::int64_t> torch_randperm(std::int64_t n, std::uint64_t seed) {
  MUONLAB_CHECK(n >= 0 && n < kMaxUint32 / 20, "torch_randperm: n: got ", n,
                ", expected 0 to ", kMaxUint32 / 20 - 1);
  std::mt19937 random(static_cast<std::uint32_t>(seed));
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    std::swap(order[i], order[i + random() % (order.size() - i)]);
  }
  return order;
}

WindowSplit window_split(std::int64_t n_tokens, std::int64_t context,
                         std::uint64_t seed, double held_out_share) {
  MUONLAB_CHECK(context >= 1, "window split: context: got ", context,
                ", expected 1 or more");
  check_share(held_out_share);
  const std::int64_t windows = n_tokens > context ? n_tokens - context : 0;
  const auto held_out = static_cast<std::int64_t>(
      std::floor(static_cast<double>(windows) * held_out_share));
  if (held_out < 1) {
    throw Error(
        ErrorKind::kInvalidArgument,
        concat("window split: got ", windows, " windows of ", context, " in ",
               n_tokens, " tokens, expected at least ",
               std::ceil(1 / held_out_share), ", of which one is held out"),
        "use a shorter context, or prepare more text");
  }
  WindowSplit split{.n_tokens = n_tokens,
                    .context = context,
                    .train = torch_randperm(windows, seed),
                    .validation = {}};
  const auto boundary =
      split.train.begin() + static_cast<std::ptrdiff_t>(windows - held_out);
  split.validation.assign(boundary, split.train.end());
  split.train.erase(boundary, split.train.end());
  return split;
}

std::string WindowRule::text() const {
  check_share(held_out_share);
  return concat(kPrefix, kSeedPart, seed, kSharePart,
                core::shortest(held_out_share));
}

WindowRule WindowRule::parse(std::string_view text) {
  WindowRule rule;
  std::string_view rest = text;
  const bool fits = take(rest, kPrefix) && take(rest, kSeedPart) &&
                    take_number(rest, rule.seed) && take(rest, kSharePart) &&
                    take_number(rest, rule.held_out_share) && rest.empty() &&
                    rule.held_out_share > 0 && rule.held_out_share < 1;
  if (!fits) {
    throw Error(ErrorKind::kCorruptData,
                concat("split rule: got '", text, "', expected '",
                       WindowRule().text(), "' or the like"));
  }
  return rule;
}

Leakage leakage(std::span<const std::int64_t> trained,
                std::span<const std::int64_t> evaluated, std::int64_t context) {
  MUONLAB_CHECK(context >= 1 && context <= kMaxUint32, "leakage: context: got ",
                context, ", expected 1 to 2^32 - 1");
  check_starts("trained", trained);
  check_starts("evaluated", evaluated);
  std::vector<std::int64_t> sorted(trained.begin(), trained.end());
  std::sort(sorted.begin(), sorted.end());
  // Windows that hold token t as a target start in [t - context, t - 1].
  const auto trainings = [&sorted, context](std::int64_t target) {
    return std::lower_bound(sorted.begin(), sorted.end(), target) -
           std::lower_bound(sorted.begin(), sorted.end(), target - context);
  };
  Leakage result;
  result.targets = std::ssize(evaluated) * context;
  std::int64_t sum_of_trainings = 0;
  std::int64_t sum_of_distances = 0;
  for (const std::int64_t start : evaluated) {
    for (std::int64_t target = start + 1; target <= start + context; ++target) {
      const std::int64_t times = trainings(target);
      sum_of_trainings += times;
      if (times == 0) ++result.untrained_targets;
    }
    const std::int64_t distance = distance_to_nearest(sorted, start);
    sum_of_distances += distance;
    result.largest_distance = std::max(result.largest_distance, distance);
    if (distance <= 1) ++result.neighbours;
  }
  result.mean_trainings = static_cast<double>(sum_of_trainings) /
                          static_cast<double>(result.targets);
  result.mean_distance = static_cast<double>(sum_of_distances) /
                         static_cast<double>(std::ssize(evaluated));
  return result;
}

}  // namespace muonlab::data
