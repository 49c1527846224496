#include "muonlab/train/windows.h"

#include "muonlab/core/error.h"
#include "muonlab/data/window_split.h"

namespace muonlab::train {

void check_split(const RunConfig& config, const data::DatasetInfo& info) {
  const bool wanted = config.data_split == "windows";
  if (wanted == info.split_by_windows()) return;
  if (wanted) {
    throw Error(ErrorKind::kInvalidArgument,
                concat("data.split: got windows, the dataset '",
                       config.data_path, "' is split by documents"),
                "prepare it with --split windows, or remove the key");
  }
  throw Error(
      ErrorKind::kInvalidArgument,
      concat("data.split: got documents, the dataset '", config.data_path,
             "' is split by overlapping windows, so every held-out "
             "token is trained on"),
      "prepare it with --split documents; only to repeat a study that "
      "did this, set data.split = \"windows\"");
}

data::Sampler training_sampler(const RunConfig& config,
                               const data::Dataset& dataset) {
  data::SamplerOptions options{.n_tokens = static_cast<std::int64_t>(
                                   dataset.tokens(data::Split::kTrain).size()),
                               .context = config.model.context,
                               .batch = config.batch,
                               .seed = static_cast<std::uint64_t>(config.seed)};
  if (dataset.info().split_by_windows()) {
    options.windows = dataset.info().windows(options.context).train;
  }
  return data::Sampler(options);
}

HeldOutWindows held_out_windows(const data::Dataset& dataset, data::Split split,
                                std::int64_t context, std::int64_t windows) {
  const data::DatasetInfo& info = dataset.info();
  check_windows(info, split, context, windows);
  if (info.split_by_windows() && split != data::Split::kTrain) {
    HeldOutWindows held_out{&dataset.tokens(data::Split::kTrain),
                            info.windows(context).validation};
    held_out.starts.resize(static_cast<std::size_t>(windows));
    return held_out;
  }
  const auto& tokens = dataset.tokens(split);
  return {&tokens,
          data::held_out_starts(static_cast<std::int64_t>(tokens.size()),
                                context, windows)};
}

void check_windows(const data::DatasetInfo& info, data::Split split,
                   std::int64_t context, std::int64_t windows) {
  const std::int64_t found = count_held_out_windows(info, split, context);
  if (found >= windows) return;
  throw Error(ErrorKind::kInvalidArgument,
              concat("eval.windows: got ", windows, ", the ", name_of(split),
                     " half of '", info.corpus_name, "' has only ", found,
                     " windows of ", context, " tokens"),
              "set eval.windows lower, or prepare the data with more held out");
}

std::int64_t count_held_out_windows(const data::DatasetInfo& info,
                                    data::Split split, std::int64_t context) {
  if (info.split_by_windows() && split != data::Split::kTrain) {
    return static_cast<std::int64_t>(info.windows(context).validation.size());
  }
  return (info.split(split).n_tokens - 1) / context;
}

}  // namespace muonlab::train
