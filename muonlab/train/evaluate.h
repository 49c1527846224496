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
  double bits_per_byte = 0;   ///< nats / (ln 2 * bytes of the predicted text)
  std::int64_t tokens = 0;    ///< predicted
  std::int64_t bytes = 0;     ///< of text; separators stand for none
  double seconds = 0;
  std::string split;  ///< "selection", "reporting" or "train"
};

/// Cross-entropy of each token of (windows, context) inputs and targets.
using TokenLosses = std::function<std::vector<double>(
    const at::Tensor& inputs, const at::Tensor& targets)>;
/// By LibTorch's operators, or by the kernels. The model or pass must outlive
/// them.
[[nodiscard]] TokenLosses token_losses(const nn::LanguageModel& model);
[[nodiscard]] TokenLosses token_losses(nn::FusedPass& pass);

/// Mean cross-entropy over the first `windows` windows of the model's context
/// in a held-out half: they do not overlap, and separators are predicted like
/// any token. Sums in float64, in a fixed order. Throws
/// Error(kInvalidArgument) when the half has fewer windows.
[[nodiscard]] HeldOutLoss evaluate(const TokenLosses& losses,
                                   std::int64_t context,
                                   const data::Dataset& dataset,
                                   data::Split split, std::int64_t windows);

/// Throws Error(kInvalidArgument) when a half has fewer windows; for asking
/// before a run instead of at its end.
void check_windows(const data::DatasetInfo& info, data::Split split,
                   std::int64_t context, std::int64_t windows);

/// "selection" or "reporting" (or "train").
[[nodiscard]] data::Split split_from_name(const std::string& name);

}  // namespace muonlab::train
