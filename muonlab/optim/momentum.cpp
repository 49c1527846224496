#include "muonlab/optim/momentum.h"

#include <ATen/ATen.h>

#include <cmath>

namespace muonlab::optim {

at::Tensor momentum_direction(const at::Tensor& gradient, at::Tensor& buffer,
                              MomentumForm form, double momentum, bool nesterov,
                              std::int64_t t) {
  const double b = momentum;
  if (form == MomentumForm::kHeavyBall) {
    buffer.mul_(b).add_(gradient);
    return nesterov ? gradient.add(buffer, b) : buffer;
  }
  buffer.lerp_(gradient, 1 - b);
  if (form == MomentumForm::kEma) {
    return nesterov ? gradient.lerp(buffer, b) : buffer;
  }
  const double now = 1 - std::pow(b, t);
  if (!nesterov) return buffer.div(now);
  const double next = 1 - std::pow(b, t + 1);
  return buffer.mul(b / next).add_(gradient, (1 - b) / now);
}

}  // namespace muonlab::optim
