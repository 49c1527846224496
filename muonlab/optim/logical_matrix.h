// The matrices inside a parameter: which of its rows each one has.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/linalg/roles.h"

namespace muonlab::optim {

/// One or more runs of rows of a parameter that is seen as a (rows, columns)
/// matrix.
struct LogicalMatrix {
  struct Run {
    std::int64_t first_row = 0;
    std::int64_t rows = 0;
  };
  std::string name;  ///< empty: the parameter is one matrix
  std::vector<Run> runs;
  std::int64_t rows = 0;  ///< of all runs together
  std::int64_t columns = 0;
};

/// How a parameter's shape becomes two dimensions: the first of each role's
/// dimensions (two for expert stacks) are rows, the others columns.
struct FlatShape {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};
/// Throws Error(kInvalidArgument), naming `who`, when the shape has too few
/// dimensions for its role or no elements.
[[nodiscard]] FlatShape flat_shape(at::IntArrayRef shape, Role role,
                                   std::string_view who);

/// Splits a parameter into its logical matrices: by its blocks, by expert, and
/// by the blocks of each expert. Throws Error(kInvalidArgument), naming `who`,
/// when the rows of the blocks do not add up.
[[nodiscard]] std::vector<LogicalMatrix> logical_matrices(
    at::IntArrayRef shape, Role role, const std::vector<RowBlock>& blocks,
    std::string_view who);

/// The matrix's rows of a (rows, columns) or (rows) tensor: a view where it is
/// one run, else a copy.
[[nodiscard]] at::Tensor rows_of(const LogicalMatrix& matrix,
                                 const at::Tensor& whole);
/// Writes back what rows_of() copied; nothing to do for a view.
void put_rows(const LogicalMatrix& matrix, at::Tensor& whole,
              const at::Tensor& rows);

}  // namespace muonlab::optim
