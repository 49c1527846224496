// What the layers compute in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace muonlab::nn {

/// Weights, gradients, optimizer state, the residual stream, norms, softmax
/// and all sums are float32 in both.
enum class Precision {
  kFloat32,   ///< "float32": everything is
  kBFloat16,  ///< "bfloat16": the operands of products, and what is kept of
              ///< them for the backward pass, are rounded to bfloat16
};
[[nodiscard]] std::string_view precision_name(Precision precision);
/// Throws Error(kInvalidArgument) on another name, with the valid ones.
[[nodiscard]] Precision precision_from_name(std::string_view name);
[[nodiscard]] std::vector<std::string> precision_names();

}  // namespace muonlab::nn
