// The direction slot and the transforms before and after it.
#pragma once

#include <ATen/core/Tensor.h>

#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

/// The pre-transformed D, a new tensor or D itself. The second moment lives in
/// the slot "pre_second_moment".
[[nodiscard]] at::Tensor pre_transformed(const MatrixRule& rule,
                                         const at::Tensor& direction,
                                         const at::Tensor& gradient,
                                         MatrixStep& step);

/// O, a new tensor or D itself (Direction::kNone).
[[nodiscard]] at::Tensor direction_of(const MatrixRule& rule,
                                      const at::Tensor& transformed,
                                      const MatrixStep& step);

/// The post-transformed O. The second moments live in the slots
/// "second_moment" and "row_second_moment".
[[nodiscard]] at::Tensor post_transformed(const MatrixRule& rule,
                                          const at::Tensor& direction,
                                          MatrixStep& step);

}  // namespace muonlab::optim
