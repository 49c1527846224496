#include "muonlab/train/finished_run.h"

#include "muonlab/core/error.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/train/load_run.h"
#include "muonlab/train/open_dataset.h"
#include "muonlab/train/summary.h"

namespace muonlab::train {

namespace {

// A dataset prepared anew under the same path would give numbers that look
// right and are not the run's.
void check_same_data(const std::filesystem::path& folder,
                     const data::Dataset& dataset) {
  const RunSummary summary = read_summary(folder / "summary.json");
  if (summary.dataset == dataset.hash()) return;
  throw Error(ErrorKind::kCorruptData,
              concat(folder.string(), ": the run was made with dataset ",
                     summary.dataset.substr(0, 8), ", its data.path now holds ",
                     dataset.hash().substr(0, 8)),
              "prepare the data as they were, or train again");
}

void load_final_weights(nn::LanguageModel& model,
                        const std::filesystem::path& folder) {
  load_weights(model, folder / "model.safetensors");
}

}  // namespace

HeldOutLoss evaluate_run(const std::filesystem::path& folder,
                         const std::string& split, std::int64_t windows) {
  RunConfig config = read_run(folder);
  if (!split.empty()) config.eval_split = split;
  if (windows > 0) config.eval_windows = windows;
  const data::Split which = split_from_name(config.eval_split);
  // "train" may be asked for here, though a run may not report on it.
  if (which == data::Split::kTrain) config.eval_split = "reporting";
  const data::Dataset dataset = open_dataset(config);
  check_same_data(folder, dataset);
  nn::LanguageModel model(config.model);
  load_final_weights(model, folder);
  const std::int64_t context = config.model.context;
  if (config.layers == "plain") {
    return evaluate(token_scores(model), context, dataset, which,
                    config.eval_windows);
  }
  nn::FusedPass pass(model, fused_options(config), linalg::kernel_pool());
  return evaluate(token_scores(pass), context, dataset, which,
                  config.eval_windows);
}

std::string sample_run(const std::filesystem::path& folder,
                       const std::string& prompt,
                       const SampleOptions& options) {
  RunConfig config = read_run(folder);
  const data::Dataset dataset = open_dataset(config);
  check_same_data(folder, dataset);
  nn::LanguageModel model(config.model);
  load_final_weights(model, folder);
  return sample(model, *dataset.tokenizer(), prompt, options);
}

}  // namespace muonlab::train
