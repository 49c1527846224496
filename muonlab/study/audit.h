// What is unfair or uncertain about a study, computed from its results.
#pragma once

#include <string>
#include <vector>

#include "muonlab/study/comparison.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

enum class Concern {
  kUnfair,     ///< may favour one arm
  kUncertain,  ///< limits what can be concluded
  kNote,       ///< the reader should know it
};

[[nodiscard]] const char* name_of(Concern concern) noexcept;

struct Finding {
  Concern concern = Concern::kNote;
  std::string text;  ///< one or two sentences of plain text
};

/// Fewer held-out tokens than this are flagged (protocol C.1.2).
inline constexpr long long kFewestHeldOutTokens = 500'000;
/// Shorter runs than this many tokens per parameter are flagged: the usual
/// compute-optimal horizon (Hoffmann et al. 2022).
inline constexpr double kUsualTokensPerParameter = 20;

/// Findings that hold for these results, gravest first.
[[nodiscard]] std::vector<Finding> audit(const Results& results,
                                         const ComparisonTable& table);

}  // namespace muonlab::study
