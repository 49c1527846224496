// Which windows of a dataset a run trains on, and which it is measured on.
#pragma once

#include <cstdint>
#include <vector>

#include "muonlab/data/dataset.h"
#include "muonlab/data/sampler.h"
#include "muonlab/train/run_config.h"

namespace muonlab::train {

/// Throws Error(kInvalidArgument) when config.data_split is not the dataset's
/// own kind of split: one by windows leaks, and must be asked for.
void check_split(const RunConfig& config, const data::DatasetInfo& info);

/// Deals out the training windows of a run; of a dataset split by windows, its
/// training windows, shuffled anew in each epoch.
[[nodiscard]] data::Sampler training_sampler(const RunConfig& config,
                                             const data::Dataset& dataset);

struct HeldOutWindows {
  const std::vector<std::int32_t>* tokens = nullptr;  ///< of the dataset
  std::vector<std::int64_t> starts;
};

/// The first `windows` held-out windows of `split`; of a dataset split by
/// windows, whose halves are one, in the order of its permutation. Throws
/// Error(kInvalidArgument) when there are fewer.
[[nodiscard]] HeldOutWindows held_out_windows(const data::Dataset& dataset,
                                              data::Split split,
                                              std::int64_t context,
                                              std::int64_t windows);

/// Throws Error(kInvalidArgument) when there are fewer windows; for asking
/// before a run instead of at its end.
void check_windows(const data::DatasetInfo& info, data::Split split,
                   std::int64_t context, std::int64_t windows);

/// How many windows of `context` tokens `split` has.
[[nodiscard]] std::int64_t count_held_out_windows(const data::DatasetInfo& info,
                                                  data::Split split,
                                                  std::int64_t context);

}  // namespace muonlab::train
