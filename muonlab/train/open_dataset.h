// The dataset of a run's configuration.
#pragma once

#include "muonlab/data/dataset.h"
#include "muonlab/train/run_config.h"

namespace muonlab::train {

/// Opens the configuration's dataset and completes the configuration: rule
/// defaults, vocabulary, evaluation windows, thread count (which is also set in
/// LibTorch). Throws
/// Error(kInvalidArgument) when a vocabulary that is set is not the dataset's.
[[nodiscard]] data::Dataset open_dataset(RunConfig& config);

}  // namespace muonlab::train
