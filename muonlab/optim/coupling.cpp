#include "muonlab/optim/coupling.h"

namespace muonlab::optim {

kernels::Coupling coupling(Decay decay, double scale, double lr,
                           double weight_decay) {
  double lost = 0;
  double step = lr * scale;
  bool cautious = false;
  switch (decay) {
    case Decay::kDecoupled:
    case Decay::kAdditive:
      lost = lr * weight_decay;
      break;
    case Decay::kScaled:
      lost = lr * scale * weight_decay;
      break;
    case Decay::kAfter:
      lost = lr * weight_decay;
      step *= 1 - lost;
      break;
    case Decay::kIndependent:
      lost = weight_decay;
      break;
    case Decay::kPalm:
      lost = lr * lr * weight_decay;
      break;
    case Decay::kCautious:
    case Decay::kCautiousPalm:
      lost = (decay == Decay::kCautious ? lr : lr * lr) * weight_decay;
      cautious = lost != 0;
      break;
    case Decay::kConstrained:
      lost = lr;
      break;
    case Decay::kL2:
      break;
  }
  return {static_cast<float>(1 - lost), static_cast<float>(step), cautious};
}

}  // namespace muonlab::optim
