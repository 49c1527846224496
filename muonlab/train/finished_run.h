// What can be asked of a run folder, or of a configuration, without a training.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "muonlab/formats/json.h"
#include "muonlab/train/evaluate.h"
#include "muonlab/train/run_config.h"
#include "muonlab/train/sample.h"

namespace muonlab::train {

/// Held-out loss of a run's final weights; an empty split and 0 windows mean
/// the run's own. Throws Error(kIo), Error(kCorruptData) on damaged folders.
[[nodiscard]] HeldOutLoss evaluate_run(const std::filesystem::path& folder,
                                       const std::string& split,
                                       std::int64_t windows);

/// Text from a run's final weights.
[[nodiscard]] std::string sample_run(const std::filesystem::path& folder,
                                     const std::string& prompt,
                                     const SampleOptions& options);

}  // namespace muonlab::train
