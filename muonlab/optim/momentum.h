// The momentum slot.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "muonlab/optim/slots.h"

namespace muonlab::optim {

/// Updates the buffer in place and returns the direction: a new tensor, or the
/// buffer itself (which the caller must not change) where the form has B alone.
/// lerp rounds as torch.optim.Muon does.
[[nodiscard]] at::Tensor momentum_direction(const at::Tensor& gradient,
                                            at::Tensor& buffer,
                                            MomentumForm form, double momentum,
                                            bool nesterov, std::int64_t t);

}  // namespace muonlab::optim
