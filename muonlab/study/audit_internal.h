// Parts of the audit in files of their own.
#pragma once

#include <vector>

#include "muonlab/study/audit.h"

namespace muonlab::study::detail {

using Findings = std::vector<Finding>;

/// Edges, trials, given settings, halving, noise of the choice.
void check_search(const Results& results, const ComparisonTable& table,
                  Findings& findings);

}  // namespace muonlab::study::detail
