#include "muonlab/optim/matrix_rule.h"

#include <ATen/ATen.h>

#include "muonlab/core/error.h"

namespace muonlab::optim {

namespace {

// Updates the buffer in place and returns the direction (a new tensor, or the
// buffer itself without Nesterov). lerp rounds as torch.optim.Muon does.
at::Tensor momentum_direction(const at::Tensor& gradient, at::Tensor& buffer,
                              const MatrixRule& rule) {
  const double b = rule.momentum;
  if (rule.momentum_form == MomentumForm::kEma) {
    buffer.lerp_(gradient, 1 - b);
    return rule.nesterov ? gradient.lerp(buffer, b) : buffer;
  }
  buffer.mul_(b).add_(gradient);
  return rule.nesterov ? gradient.add(buffer, b) : buffer;
}

}  // namespace

std::vector<LogicalMatrix> logical_matrices(at::IntArrayRef shape,
                                            const std::vector<RowBlock>& blocks,
                                            std::string_view who) {
  MUONLAB_CHECK(shape.size() >= 2, who, ": has ", shape.size(),
                " dimensions, a matrix rule needs 2 or more; give it to AdamW");
  std::int64_t columns = 1;
  for (const std::int64_t d : shape.slice(1)) columns *= d;
  if (blocks.empty()) return {{"", 0, shape[0], columns}};
  std::vector<LogicalMatrix> matrices;
  std::int64_t row = 0;
  for (const RowBlock& block : blocks) {
    MUONLAB_CHECK(block.rows >= 1, who, ": its block '", block.name, "' has ",
                  block.rows, " rows, expected 1 or more");
    matrices.push_back({block.name, row, block.rows, columns});
    row += block.rows;
  }
  MUONLAB_CHECK(row == shape[0], who, ": its blocks have ", row,
                " rows, the parameter has ", shape[0]);
  return matrices;
}

void matrix_step(at::Tensor& weight, const at::Tensor& gradient,
                 at::Tensor& momentum, const MatrixRule& rule,
                 std::span<const LogicalMatrix> matrices, double lr,
                 double weight_decay) {
  const at::NoGradGuard no_grad;
  const at::Tensor direction = momentum_direction(gradient, momentum, rule);
  const at::Tensor flat = direction.flatten(1);
  if (weight_decay != 0) weight.mul_(1 - lr * weight_decay);
  for (const LogicalMatrix& matrix : matrices) {
    const at::Tensor block = flat.narrow(0, matrix.first_row, matrix.rows);
    const at::Tensor update = polar_factor(block, rule.polar);
    const double scale = scale_factor(rule.scale, matrix.rows, matrix.columns);
    at::Tensor target = weight.narrow(0, matrix.first_row, matrix.rows);
    // A tall block comes back as a transposed view, which no view() of a conv
    // kernel fits.
    target.add_(update.reshape(target.sizes()), -lr * scale);
  }
}

}  // namespace muonlab::optim
