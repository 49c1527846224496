// The driver of the matrix family: the slots of a MatrixRule in order.
#include <ATen/ATen.h>

#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/optim/decay.h"
#include "muonlab/optim/direction.h"
#include "muonlab/optim/matrix_step.h"
#include "muonlab/optim/momentum.h"

namespace muonlab::optim {

namespace {

constexpr double kNamoEps = 1e-8;

double frobenius(const at::Tensor& x) {
  return at::linalg_vector_norm(x).item<double>();
}

double exact_rms_scale(const MatrixRule& rule, const at::Tensor& o) {
  const double length = frobenius(o);
  if (length == 0) return 0;
  return 0.2 * std::sqrt(static_cast<double>(o.numel())) /
         (length + rule.scale_eps);
}

// NAMO (arXiv 2602.17080): the bias-corrected momentum's norm over the root of
// the bias-corrected second moment of the gradient's norm.
double namo_scale(const MatrixRule& rule, const at::Tensor& gradient,
                  MatrixStep& step) {
  const double squared = std::pow(frobenius(gradient), 2);
  at::Tensor& v = step.state.at("norm_second_moment");
  v.mul_(rule.namo_beta2).add_((1 - rule.namo_beta2) * squared);
  const auto t = static_cast<double>(step.t);
  return std::sqrt(1 - std::pow(rule.namo_beta2, t)) /
         (1 - std::pow(rule.momentum, t)) *
         frobenius(step.state.at("momentum")) /
         (std::sqrt(v.item<double>()) + kNamoEps);
}

double scale_of(const MatrixRule& rule, const at::Tensor& transformed,
                const at::Tensor& o, const at::Tensor& gradient,
                MatrixStep& step) {
  switch (rule.scale) {
    case Scale::kNuclear:
      return transformed.mul(o).sum().item<double>();
    case Scale::kExactRms:
      return exact_rms_scale(rule, o);
    case Scale::kNamo:
      return namo_scale(rule, gradient, step);
    default:
      return scale_factor(rule.scale, o.size(0), o.size(1));
  }
}

// W' = W - lr R O/|O|, then W <- R W'/|W'|, with R = |W0| (Hyperball, arXiv
// 2606.16899). A direction of zero leaves the weight where it is.
void hyperball(const MatrixRule& rule, const at::Tensor& o, MatrixStep& step) {
  at::Tensor& stored = step.state.at("radius");
  if (step.t == 1) stored.fill_(frobenius(step.weight));
  const double radius = stored.item<double>();
  const double length = frobenius(o);
  if (length == 0) return;
  step.weight.add_(o, -step.lr * radius * rule.scale_factor / length);
  step.weight.mul_(radius / frobenius(step.weight));
}

}  // namespace

void update(const MatrixRule& rule, MatrixStep& step) {
  const at::NoGradGuard no_grad;
  const at::Tensor gradient =
      with_l2(step.gradient, step.weight, rule.decay, step.weight_decay);
  const at::Tensor direction = momentum_direction(
      gradient, step.state.at("momentum"), rule.momentum_form, rule.momentum,
      rule.nesterov, step.t);
  const at::Tensor transformed =
      pre_transformed(rule, direction, gradient, step);
  const at::Tensor o =
      post_transformed(rule, direction_of(rule, transformed, step), step);
  if (rule.scale == Scale::kHyperball) return hyperball(rule, o, step);
  const double scale =
      scale_of(rule, transformed, o, gradient, step) * rule.scale_factor;
  apply_update(step.weight, o, scale, rule.decay, step.lr, step.weight_decay);
}

void check_start(const UpdateRule& rule, const at::Tensor& weight,
                 const std::string& who) {
  const auto* matrix = std::get_if<MatrixRule>(&rule);
  const bool sphere = matrix != nullptr && matrix->scale == Scale::kHyperball;
  const bool rows = std::holds_alternative<MuownRule>(rule);
  if (!sphere && !rows) return;
  const at::Tensor norms =
      at::linalg_vector_norm(weight.flatten(sphere ? 0 : 1), 2, {-1});
  if (norms.gt(0).all().item<bool>()) return;
  throw Error(ErrorKind::kInvalidArgument,
              concat("Optimizer: parameter '", who, "': ",
                     sphere ? "its norm is zero, and scale s9 keeps the norm "
                              "that a weight starts with"
                            : "a row of zeros has no direction for muown to "
                              "keep"),
              "start it from something else than zeros "
              "(model.init_output_gain), or give it another rule");
}

}  // namespace muonlab::optim
