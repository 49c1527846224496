// How a scaled update and the weight decay change a weight.
#pragma once

#include <ATen/core/Tensor.h>

#include "muonlab/optim/slots.h"

namespace muonlab::optim {

/// W <- W - lr * scale * O with the decay as Decay says; kL2 must be in the
/// gradient already. Changes `weight`; `direction` has its shape and dtype.
void apply_update(at::Tensor& weight, const at::Tensor& direction, double scale,
                  Decay decay, double lr, double weight_decay);

/// G + lambda W under kL2, else G itself.
[[nodiscard]] at::Tensor with_l2(const at::Tensor& gradient,
                                 const at::Tensor& weight, Decay decay,
                                 double weight_decay);

/// Share of the weight that one step removes, for tables.
[[nodiscard]] double decay_per_step(Decay decay, double lr,
                                    double weight_decay);

}  // namespace muonlab::optim
