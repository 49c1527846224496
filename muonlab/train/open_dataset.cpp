#include "muonlab/train/open_dataset.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "muonlab/core/error.h"
#include "muonlab/train/windows.h"

namespace muonlab::train {

namespace {
constexpr std::int64_t kMostWindows = 1024;
}

data::Dataset open_dataset(RunConfig& config) {
  resolve(config);
  data::Dataset dataset = data::Dataset::open(config.data_path);
  check_split(config, dataset.info());
  const std::int64_t vocabulary = dataset.info().vocabulary;
  if (config.model.vocabulary == 0) config.model.vocabulary = vocabulary;
  MUONLAB_CHECK(config.model.vocabulary == vocabulary, "model.vocabulary: got ",
                config.model.vocabulary, ", the dataset ", config.data_path,
                " has ", vocabulary,
                "; remove the key, or prepare the data with that size");
  nn::validate(config.model);
  if (config.eval_windows == 0) {
    // The same number for both halves, so that they compare.
    const auto fit = [&](data::Split split) {
      return count_held_out_windows(dataset.info(), split,
                                    config.model.context);
    };
    config.eval_windows = std::max<std::int64_t>(
        1, std::min({kMostWindows, fit(data::Split::kSelection),
                     fit(data::Split::kReporting)}));
  }
  if (config.threads > 0) {
    at::set_num_threads(static_cast<int>(config.threads));
  }
  config.threads = at::get_num_threads();
  return dataset;
}

}  // namespace muonlab::train
