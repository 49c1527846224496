// Held-out loss and bits per byte.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "muonlab/data/dataset.h"

namespace at {
class Tensor;
}
namespace muonlab::nn {
class FusedPass;
class LanguageModel;
}  // namespace muonlab::nn

namespace muonlab::train {

struct HeldOutLoss {
  double loss = 0;            ///< nats per token
  double standard_error = 0;  ///< of `loss`, over windows
  double accuracy = 0;        ///< share of tokens that the model ranks first
  double bits_per_byte = 0;   ///< nats / (ln 2 * bytes of the predicted text)
  std::int64_t tokens = 0;    ///< predicted
  std::int64_t bytes = 0;     ///< of text; separators stand for none
  double seconds = 0;
  std::string split;  ///< "selection", "reporting" or "train"
};

/// Of each token of (windows, context) inputs and targets, in order.
struct TokenScores {
  std::vector<double> losses;      ///< cross-entropy, nats
  std::vector<std::uint8_t> hits;  ///< 1: the target has the largest logit (the
                                   ///< first of equal ones)
};
using ScoreTokens = std::function<TokenScores(const at::Tensor& inputs,
                                              const at::Tensor& targets)>;
/// By LibTorch's operators, or by the kernels. The model or pass must outlive
/// them.
[[nodiscard]] ScoreTokens token_scores(const nn::LanguageModel& model);
[[nodiscard]] ScoreTokens token_scores(nn::FusedPass& pass);

/// Mean cross-entropy over the first `windows` windows of the model's context
/// in a held-out half: they do not overlap, and separators are predicted like
/// any token. (In a dataset split by windows: the first of its held-out
/// windows, which do overlap, whichever half is asked for.) Sums in float64,
/// in a fixed order. Throws Error(kInvalidArgument) when there are fewer
/// windows.
[[nodiscard]] HeldOutLoss evaluate(const ScoreTokens& scores,
                                   std::int64_t context,
                                   const data::Dataset& dataset,
                                   data::Split split, std::int64_t windows);

/// "selection" or "reporting" (or "train").
[[nodiscard]] data::Split split_from_name(const std::string& name);

}  // namespace muonlab::train
