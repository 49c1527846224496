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
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/train/batch.h"

namespace muonlab::train {

namespace {

constexpr std::int64_t kTokensPerPass = 2048;  // fits the caches

// Sum of the cross-entropy of each window, in nats.
std::vector<double> window_sums(const TokenLosses& losses, std::int64_t context,
                                std::span<const std::int32_t> tokens,
                                std::span<const std::int64_t> starts) {
  const auto per_pass = static_cast<std::size_t>(
      std::max<std::int64_t>(1, kTokensPerPass / context));
  const auto length = static_cast<std::size_t>(context);
  std::vector<double> sums;
  for (std::size_t first = 0; first < starts.size(); first += per_pass) {
    const auto some =
        starts.subspan(first, std::min(per_pass, starts.size() - first));
    const Batch batch = gather(tokens, some, context);
    const auto values = losses(batch.inputs, batch.targets);
    for (std::size_t w = 0; w < some.size(); ++w) {
      double sum = 0;
      for (std::size_t t = 0; t < length; ++t) sum += values[w * length + t];
      sums.push_back(sum);
    }
  }
  return sums;
}

}  // namespace

TokenLosses token_losses(const nn::LanguageModel& model) {
  return [&model](const at::Tensor& inputs, const at::Tensor& targets) {
    const at::Tensor logits = model.forward(inputs);
    return linalg::values_of(at::cross_entropy_loss(
        logits.view({-1, model.config().vocabulary}), targets.view({-1}),
        /*weight=*/{}, at::Reduction::None));
  };
}

TokenLosses token_losses(nn::FusedPass& pass) {
  return [&pass](const at::Tensor& inputs, const at::Tensor& targets) {
    const auto losses = pass.losses(inputs, targets);
    return std::vector<double>(losses.begin(), losses.end());
  };
}

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

HeldOutLoss evaluate(const TokenLosses& losses, std::int64_t context,
                     const data::Dataset& dataset, data::Split split,
                     std::int64_t windows) {
  const at::NoGradGuard no_grad;
  const auto begin = std::chrono::steady_clock::now();
  const auto& tokens = dataset.tokens(split);
  check_windows(dataset.info(), split, context, windows);
  const auto starts = data::held_out_starts(
      static_cast<std::int64_t>(tokens.size()), context, windows);
  const auto sums = window_sums(losses, context, tokens, starts);

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
