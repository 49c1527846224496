// Which form of the iteration is the fastest here: measured once per machine
// and shape, and remembered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "muonlab/linalg/polar.h"

namespace muonlab::linalg {

struct PolarCandidate {
  std::string name;      ///< "newton-schulz bfloat16"
  PolarOptions options;  ///< with a method and a dtype of its own
  double seconds = 0;    ///< of one matrix; 0: not measured
};

struct PolarChoice {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  PolarOptions options;  ///< the fastest
  std::string name;
  std::vector<PolarCandidate> candidates;  ///< empty: from the cache
};

/// Resolves PolarMethod::kAuto for a (rows, columns) matrix: the fastest form
/// of the accuracy that the dtype asks. bfloat16: standard bfloat16
/// Newton-Schulz, the Gram form in mixed precision from twice as long as wide
/// on (as accurate, except on exactly rank-deficient matrices: docs/polar.md),
/// and all of float32. auto and float32: the standard and the Gram form in
/// float32. Other options stay as they are.
///
/// A first call for a shape measures on a synthetic matrix (some ten
/// iterations) and writes the result to `polar.json` in $MUONLAB_CACHE,
/// $XDG_CACHE_HOME/muonlab or ~/.cache/muonlab, by CPU, instruction set and
/// number of threads: later runs on this machine choose the same. A file that
/// cannot be read or written costs only the memory of it. Without the packed
/// kernels it is the standard form. Thread-safe. Options that name another
/// method come back unchanged.
[[nodiscard]] PolarOptions chosen_polar(const PolarOptions& options,
                                        std::int64_t rows,
                                        std::int64_t columns);

/// What this process has chosen so far, for logs.
[[nodiscard]] std::vector<PolarChoice> polar_choices();

}  // namespace muonlab::linalg
