#include "muonlab/train/evaluate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <span>

#include "muonlab/core/error.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/fused_pass.h"
#include "muonlab/nn/language_model.h"
#include "muonlab/train/batch.h"
#include "muonlab/train/windows.h"

namespace muonlab::train {

namespace {

constexpr std::int64_t kTokensPerPass = 2048;  // fits the caches

struct WindowSums {
  std::vector<double> losses;  // of each window, in nats
  std::int64_t hits = 0;       // of all
};

WindowSums window_sums(const ScoreTokens& scores, std::int64_t context,
                       std::span<const std::int32_t> tokens,
                       std::span<const std::int64_t> starts) {
  const auto per_pass = static_cast<std::size_t>(
      std::max<std::int64_t>(1, kTokensPerPass / context));
  const auto length = static_cast<std::size_t>(context);
  WindowSums sums;
  for (std::size_t first = 0; first < starts.size(); first += per_pass) {
    const auto some =
        starts.subspan(first, std::min(per_pass, starts.size() - first));
    const Batch batch = gather(tokens, some, context);
    const TokenScores found = scores(batch.inputs, batch.targets);
    for (std::size_t w = 0; w < some.size(); ++w) {
      double sum = 0;
      for (std::size_t t = 0; t < length; ++t)
        sum += found.losses[w * length + t];
      sums.losses.push_back(sum);
    }
    sums.hits += std::count(found.hits.begin(), found.hits.end(), 1);
  }
  return sums;
}

}  // namespace

ScoreTokens token_scores(const nn::LanguageModel& model) {
  return [&model](const at::Tensor& inputs, const at::Tensor& targets) {
    const at::Tensor logits =
        model.forward(inputs).view({-1, model.config().vocabulary});
    const at::Tensor flat = targets.view({-1});
    TokenScores scores;
    scores.losses = linalg::values_of(at::cross_entropy_loss(
        logits, flat, /*weight=*/{}, at::Reduction::None));
    for (const double hit :
         linalg::values_of(logits.argmax(1).eq(flat).to(at::kDouble))) {
      scores.hits.push_back(hit > 0 ? 1 : 0);
    }
    return scores;
  };
}

ScoreTokens token_scores(nn::FusedPass& pass) {
  return [&pass](const at::Tensor& inputs, const at::Tensor& targets) {
    TokenScores scores;
    const auto losses = pass.losses(inputs, targets, &scores.hits);
    scores.losses.assign(losses.begin(), losses.end());
    return scores;
  };
}

HeldOutLoss evaluate(const ScoreTokens& scores, std::int64_t context,
                     const data::Dataset& dataset, data::Split split,
                     std::int64_t windows) {
  const at::NoGradGuard no_grad;
  const auto begin = std::chrono::steady_clock::now();
  const HeldOutWindows held_out =
      held_out_windows(dataset, split, context, windows);
  const auto& tokens = *held_out.tokens;
  const auto& starts = held_out.starts;
  const WindowSums found = window_sums(scores, context, tokens, starts);
  const std::vector<double>& sums = found.losses;

  HeldOutLoss result;
  result.split = std::string(name_of(split));
  double total = 0;
  for (const double sum : sums) total += sum;
  result.tokens = windows * context;
  result.loss = total / static_cast<double>(result.tokens);
  result.accuracy =
      static_cast<double>(found.hits) / static_cast<double>(result.tokens);
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
