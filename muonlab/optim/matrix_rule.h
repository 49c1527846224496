// The driver of the matrix family: one step of a MatrixRule on one parameter.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "muonlab/linalg/roles.h"
#include "muonlab/optim/rule.h"

namespace muonlab::optim {

/// Rows and columns of one logical matrix inside a parameter.
struct LogicalMatrix {
  std::string name;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;  ///< product of all dimensions but the first
};

/// Splits a parameter by its row blocks; dimensions after the first are
/// flattened. Throws Error(kInvalidArgument), naming `who`, when the rows of
/// the blocks do not add up or the parameter has fewer than two dimensions.
[[nodiscard]] std::vector<LogicalMatrix> logical_matrices(
    at::IntArrayRef shape, const std::vector<RowBlock>& blocks,
    std::string_view who);

/// One step. Changes `weight` and `momentum` (same shape as the weight, zero
/// before the first step); reads `gradient`. Float32 or float64, in the
/// weight's dtype throughout.
void matrix_step(at::Tensor& weight, const at::Tensor& gradient,
                 at::Tensor& momentum, const MatrixRule& rule,
                 std::span<const LogicalMatrix> matrices, double lr,
                 double weight_decay);

}  // namespace muonlab::optim
