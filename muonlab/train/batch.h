// Windows of a token sequence as tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace muonlab::train {

struct Batch {
  at::Tensor inputs;   ///< (windows, context) int64
  at::Tensor targets;  ///< the same, one token later
};

/// Each window needs context + 1 tokens from its start.
[[nodiscard]] Batch gather(std::span<const std::int32_t> tokens,
                           std::span<const std::int64_t> starts,
                           std::int64_t context);

}  // namespace muonlab::train
