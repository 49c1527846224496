// Update rules as values: what a preset fills in and the optimizer runs.
#pragma once

#include <string>
#include <variant>

#include "muonlab/linalg/polar.h"
#include "muonlab/optim/scale.h"

namespace muonlab::optim {

/// How the momentum buffer B follows the gradient G, and the direction taken.
enum class MomentumForm {
  kEma,        ///< B <- bB + (1-b)G; Nesterov direction (1-b)G + bB
  kHeavyBall,  ///< B <- bB + G;      Nesterov direction G + bB
};

/// The pipeline of the matrix family, one field per slot, in order of
/// execution: momentum -> orthogonaliser -> scale -> decay -> apply. For each
/// logical matrix with rate lr and decay lambda:
///   W <- (1 - lr*lambda) W           (decoupled, the unscaled rate)
///   W <- W - lr * scale * msign(direction)
struct MatrixRule {
  std::string name;  ///< the preset that filled it
  MomentumForm momentum_form = MomentumForm::kEma;
  double momentum = 0.95;  ///< b above, in [0, 1)
  bool nesterov = true;
  PolarOptions polar = {};
  Scale scale = Scale::kAspect;
};

/// AdamW (Loshchilov & Hutter, arXiv 1711.05101), as torch.optim.AdamW
/// computes it: eps is added after the bias correction.
struct AdamWRule {
  std::string name = "adamw";
  double beta1 = 0.9;   ///< in [0, 1)
  double beta2 = 0.95;  ///< in [0, 1)
  double eps = 1e-8;    ///< more than 0
};

using UpdateRule = std::variant<MatrixRule, AdamWRule>;

[[nodiscard]] inline const std::string& rule_name(const UpdateRule& rule) {
  return std::visit([](const auto& r) -> const std::string& { return r.name; },
                    rule);
}

}  // namespace muonlab::optim
