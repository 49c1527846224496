#include "muonlab/train/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <span>

#include "muonlab/core/error.h"
#include "muonlab/data/sampler.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/train/batch.h"

namespace muonlab::train {

namespace {

constexpr std::int64_t kTokensPerPass = 2048;  // fits the caches

// Sum of the cross-entropy of each window, in nats.
std::vector<double> window_sums(const nn::LanguageModel& model,
                                std::span<const std::int32_t> tokens,
                                std::span<const std::int64_t> starts) {
  const std::int64_t context = model.config().context;
  const auto per_pass = static_cast<std::size_t>(
      std::max<std::int64_t>(1, kTokensPerPass / context));
  std::vector<double> sums;
  for (std::size_t first = 0; first < starts.size(); first += per_pass) {
    const auto some =
        starts.subspan(first, std::min(per_pass, starts.size() - first));
    const Batch batch = gather(tokens, some, context);
    const at::Tensor logits = model.forward(batch.inputs);
    const at::Tensor losses = at::cross_entropy_loss(
        logits.view({-1, model.config().vocabulary}), batch.targets.view({-1}),
        /*weight=*/{}, at::Reduction::None);
    const auto values = linalg::values_of(losses);
    for (std::size_t w = 0; w < some.size(); ++w) {
      double sum = 0;
      for (std::int64_t t = 0; t < context; ++t) {
        sum += values[w * static_cast<std::size_t>(context) +
                      static_cast<std::size_t>(t)];
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

}  // namespace

void check_windows(const data::DatasetInfo& info, data::Split split,
                   std::int64_t context, std::int64_t windows) {
  const std::int64_t found = (info.split(split).n_tokens - 1) / context;
  if (found >= windows) return;
  throw Error(ErrorKind::kInvalidArgument,
              concat("eval.windows: got ", windows, ", the ", name_of(split),
                     " half of '", info.corpus_name, "' has only ", found,
                     " windows of ", context, " tokens"),
              "set eval.windows lower, or prepare the data with more held out");
}

HeldOutLoss evaluate(const nn::LanguageModel& model,
                     const data::Dataset& dataset, data::Split split,
                     std::int64_t windows) {
  const at::NoGradGuard no_grad;
  const auto begin = std::chrono::steady_clock::now();
  const auto& tokens = dataset.tokens(split);
  const std::int64_t context = model.config().context;
  check_windows(dataset.info(), split, context, windows);
  const auto starts = data::held_out_starts(
      static_cast<std::int64_t>(tokens.size()), context, windows);
  const auto sums = window_sums(model, tokens, starts);

  HeldOutLoss result;
  result.split = std::string(name_of(split));
  double total = 0;
  for (const double sum : sums) total += sum;
  result.tokens = windows * context;
  result.loss = total / static_cast<double>(result.tokens);
  double squares = 0;
  for (const double sum : sums) {
    const double d = sum / static_cast<double>(context) - result.loss;
    squares += d * d;
  }
  const auto n = static_cast<double>(windows);
  result.standard_error = windows > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  const auto tokenizer = dataset.tokenizer();
  for (const std::int64_t start : starts) {
    for (std::int64_t t = 1; t <= context; ++t) {
      result.bytes +=
          tokenizer->token_bytes(tokens[static_cast<std::size_t>(start + t)]);
    }
  }
  result.bits_per_byte =
      total / (std::numbers::ln2 * static_cast<double>(result.bytes));
  result.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  return result;
}

data::Split split_from_name(const std::string& name) {
  for (const data::Split split : data::kSplits) {
    if (name_of(split) == name) return split;
  }
  throw Error(ErrorKind::kInvalidArgument,
              concat("split: got '", name,
                     "', expected train, selection or reporting"));
}

}  // namespace muonlab::train
