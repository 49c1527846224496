// The answer of a study in one sentence, and what must be said beside it.
#pragma once

#include <string>
#include <vector>

#include "muonlab/study/comparison.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

struct Verdict {
  /// Who is ahead after the same tokens, by how many nats per token, with what
  /// certainty. Plain text, ends with a full stop.
  std::string sentence;
  /// What the sentence must not be read to say; each a sentence.
  std::vector<std::string> remarks;
};

/// An arm is called ahead or behind only when its Holm-adjusted paired t test
/// is below kAlpha; otherwise it "cannot be told apart" from the baseline. Of a
/// study without final seeds it says that only single runs exist.
[[nodiscard]] Verdict verdict(const Results& results,
                              const ComparisonTable& table);

}  // namespace muonlab::study
