#include "muonlab/data/sampler.h"

#include <algorithm>
#include <limits>

#include "muonlab/core/error.h"

namespace muonlab::data {

namespace {

// Four rounds make a Feistel network of good round functions a pseudorandom
// permutation; small domains mix slower, and rounds are cheap.
constexpr std::uint64_t kRounds = 8;

void check_one_window(std::int64_t n_tokens, std::int64_t context) {
  MUONLAB_CHECK(context >= 1, "sampler: context: got ", context,
                ", expected 1 or more");
  if (n_tokens <= context) {
    throw Error(ErrorKind::kInvalidArgument,
                concat("sampler: tokens: got ", n_tokens,
                       ", expected at least ", context + 1, " (one window of ",
                       context, " and the token after it)"),
                "use a shorter context, or prepare more text");
  }
}

SamplerOptions checked(const SamplerOptions& options) {
  check_one_window(options.n_tokens, options.context);
  MUONLAB_CHECK(options.world >= 1, "sampler: world: got ", options.world,
                ", expected 1 or more");
  MUONLAB_CHECK(options.rank >= 0 && options.rank < options.world,
                "sampler: rank: got ", options.rank, ", expected 0 to ",
                options.world - 1);
  MUONLAB_CHECK(options.batch >= 1 && options.batch % options.world == 0,
                "sampler: batch: got ", options.batch,
                ", expected a positive multiple of ", options.world, " ranks");
  for (const std::int64_t start : options.windows) {
    MUONLAB_CHECK(start >= 0 && start + options.context < options.n_tokens,
                  "sampler: windows: got one at token ", start,
                  ", expected 0 to ", options.n_tokens - options.context - 1);
  }
  return options;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options)
    : options_(checked(options)),
      order_(options.seed, "order"),
      offset_(options.seed, "offset") {
  const std::int64_t n = options_.n_tokens;
  const std::int64_t context = options_.context;
  // So many windows fit whatever the offset below `context`, so that all epochs
  // are equally long; a text of little more than one window bounds the offset
  // instead.
  if (!options_.windows.empty()) {
    windows_ = static_cast<std::int64_t>(options_.windows.size());
  } else {
    windows_ = std::max<std::int64_t>(1, (n - context) / context);
    offsets_ = std::min(context, n - windows_ * context);
  }
  while ((std::uint64_t{1} << (2 * half_bits_)) <
         static_cast<std::uint64_t>(windows_)) {
    ++half_bits_;
  }
}

std::vector<std::int64_t> Sampler::starts(std::int64_t step) const {
  MUONLAB_CHECK(step >= 0 && step < std::numeric_limits<std::int64_t>::max() /
                                        options_.batch,
                "sampler: step: got ", step, ", expected 0 or more");
  const std::int64_t share = options_.batch / options_.world;
  const std::int64_t first = step * options_.batch + options_.rank * share;
  std::vector<std::int64_t> result;
  result.reserve(static_cast<std::size_t>(share));
  for (std::int64_t i = 0; i < share; ++i) {
    result.push_back(start_of(first + i));
  }
  return result;
}

std::int64_t Sampler::epoch(std::int64_t step) const {
  return step * options_.batch / windows_;
}

std::int64_t Sampler::start_of(std::int64_t sequence) const {
  const auto epoch = static_cast<std::uint64_t>(sequence / windows_);
  const auto index = static_cast<std::uint64_t>(sequence % windows_);
  if (!options_.windows.empty()) {
    return options_.windows[permuted(epoch, index)];
  }
  const auto offset = static_cast<std::int64_t>(
      offset_.bits(epoch, 0) % static_cast<std::uint64_t>(offsets_));
  const auto window = static_cast<std::int64_t>(permuted(epoch, index));
  return offset + window * options_.context;
}

std::uint64_t Sampler::permuted(std::uint64_t epoch,
                                std::uint64_t index) const {
  // Cycle walking: the network permutes a power of four that is at most four
  // times too large, so on average fewer than four turns lead back below W.
  do {
    index = feistel(epoch, index);
  } while (index >= static_cast<std::uint64_t>(windows_));
  return index;
}

std::uint64_t Sampler::feistel(std::uint64_t epoch, std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t mixed =
        left ^ (order_.bits(epoch, (round << 32) | right) & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits_) | right;
}

std::vector<std::int64_t> held_out_starts(std::int64_t n_tokens,
                                          std::int64_t context,
                                          std::int64_t max_windows) {
  check_one_window(n_tokens, context);
  std::int64_t windows = (n_tokens - 1) / context;
  if (max_windows > 0) windows = std::min(windows, max_windows);
  std::vector<std::int64_t> starts;
  for (std::int64_t i = 0; i < windows; ++i) starts.push_back(i * context);
  return starts;
}

}  // namespace muonlab::data
