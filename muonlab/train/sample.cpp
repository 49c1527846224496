#include "muonlab/train/sample.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "muonlab/core/error.h"
#include "muonlab/core/philox.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/nn/language_model.h"

namespace muonlab::train {

namespace {

// The token that a uniform number in [0, 1) picks from the logits.
std::size_t pick(const std::vector<double>& logits,
                 const SampleOptions& options, double uniform) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(
      order.begin(), order.end(),
      [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  if (options.temperature == 0) return order.front();
  if (options.top_k > 0 &&
      static_cast<std::size_t>(options.top_k) < order.size()) {
    order.resize(static_cast<std::size_t>(options.top_k));
  }
  std::vector<double> weights;
  for (const std::size_t i : order) {
    weights.push_back(
        std::exp((logits[i] - logits[order[0]]) / options.temperature));
  }
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double left = uniform * total;
  for (std::size_t i = 0; i < order.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order.back();
}

}  // namespace

std::string sample(const nn::LanguageModel& model,
                   const data::Tokenizer& tokenizer, const std::string& prompt,
                   const SampleOptions& options) {
  MUONLAB_CHECK(options.tokens >= 1, "sample: tokens: got ", options.tokens,
                ", expected 1 or more");
  MUONLAB_CHECK(options.temperature >= 0 && std::isfinite(options.temperature),
                "sample: temperature: got ", options.temperature,
                ", expected 0 or more");
  MUONLAB_CHECK(options.top_k >= 0, "sample: top-k: got ", options.top_k,
                ", expected 0 or more");
  const at::NoGradGuard no_grad;
  const core::Random random(options.seed, "sample");
  std::vector<std::int32_t> ids = {tokenizer.separator()};
  const auto encoded = tokenizer.encode(prompt);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
  for (std::int64_t i = 0; i < options.tokens; ++i) {
    const auto window = std::min<std::size_t>(
        ids.size(), static_cast<std::size_t>(model.config().context));
    const std::vector<std::int64_t> recent(
        ids.end() - static_cast<std::ptrdiff_t>(window), ids.end());
    const at::Tensor logits = model.forward(
        linalg::tensor_of(recent).view({1, static_cast<std::int64_t>(window)}));
    const auto values = linalg::values_of(logits.select(1, -1).select(0, 0));
    const auto next = static_cast<std::int32_t>(pick(
        values, options, random.uniform(0, static_cast<std::uint64_t>(i))));
    if (next == tokenizer.separator()) break;
    ids.push_back(next);
  }
  return tokenizer.decode(std::span(ids).subspan(1));
}

}  // namespace muonlab::train
