// Runs to be compared, from CSV or JSON.
#pragma once

#include <string>
#include <vector>

#include "muonlab/statistics/arm_comparison.h"

namespace muonlab::tools {

struct RunsTable {
  std::vector<statistics::Run> runs;
  bool has_seeds = false;
  std::vector<std::string> other_columns;  ///< that were not used
};

/// Reads `path`, or stdin for "-": CSV with a header, or JSON (an array of
/// objects, or an object with such an array under "rows"), told apart by the
/// first character. Columns `arm` and `value` are needed, `seed` is optional.
/// Throws Error(kIo), and Error(kCorruptData) that names the line or row: a
/// missing column or cell, a value that is no finite number, two values of one
/// arm and seed.
[[nodiscard]] RunsTable read_runs(const std::string& path);

}  // namespace muonlab::tools
