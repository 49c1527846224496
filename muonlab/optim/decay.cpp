#include "muonlab/optim/decay.h"

#include <ATen/ATen.h>

namespace muonlab::optim {

void apply_update(at::Tensor& weight, const at::Tensor& direction, double scale,
                  Decay decay, double lr, double weight_decay) {
  const auto shrink = [&](double share) {
    if (share != 0) weight.mul_(1 - share);
  };
  const auto move = [&] { weight.add_(direction, -lr * scale); };
  switch (decay) {
    case Decay::kDecoupled:
      shrink(lr * weight_decay);
      return move();
    case Decay::kScaled:
      shrink(lr * scale * weight_decay);
      return move();
    case Decay::kAdditive: {
      const at::Tensor update = direction.mul(scale);
      if (weight_decay != 0) update.add_(weight, weight_decay);
      weight.add_(update, -lr);
      return;
    }
    case Decay::kAfter:
      move();
      return shrink(lr * weight_decay);
    case Decay::kIndependent:
      shrink(weight_decay);
      return move();
    case Decay::kPalm:
      shrink(lr * lr * weight_decay);
      return move();
    case Decay::kCautious:
    case Decay::kCautiousPalm: {
      const double share =
          (decay == Decay::kCautious ? lr : lr * lr) * weight_decay;
      if (share != 0) {
        // The mask is that of the weight before the step. The scale is
        // positive, so the direction has the update's signs.
        const at::Tensor mask = direction.mul(weight).ge_(0);
        weight.addcmul_(weight, mask, -share);
      }
      return move();
    }
    case Decay::kConstrained:
      shrink(lr);
      return move();
    case Decay::kL2:
      return move();
  }
}

at::Tensor with_l2(const at::Tensor& gradient, const at::Tensor& weight,
                   Decay decay, double weight_decay) {
  return decay == Decay::kL2 && weight_decay != 0
             ? gradient.add(weight, weight_decay)
             : gradient;
}

double decay_per_step(Decay decay, double lr, double weight_decay) {
  switch (decay) {
    case Decay::kIndependent:
      return weight_decay;
    case Decay::kPalm:
    case Decay::kCautiousPalm:
      return lr * lr * weight_decay;
    case Decay::kConstrained:
      return lr;
    case Decay::kL2:
      return 0;
    default:
      return lr * weight_decay;
  }
}

}  // namespace muonlab::optim
