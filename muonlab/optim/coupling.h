// A rule's decay as what the kernels take: W <- keep W - step U.
#pragma once

#include "muonlab/kernels/elementwise_scalars.h"
#include "muonlab/optim/slots.h"

namespace muonlab::optim {

/// Of a direction that is scaled by `scale`; kL2 must be in the gradient.
[[nodiscard]] kernels::Coupling coupling(Decay decay, double scale, double lr,
                                         double weight_decay);

}  // namespace muonlab::optim
