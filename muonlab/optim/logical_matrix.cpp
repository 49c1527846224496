#include "muonlab/optim/logical_matrix.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "muonlab/core/error.h"

namespace muonlab::optim {

namespace {

// Adds the blocks' rows from `first` on; blocks of one name are one matrix.
void split(const std::vector<RowBlock>& blocks, const std::string& prefix,
           std::int64_t first, std::int64_t rows, std::int64_t columns,
           std::string_view who, std::vector<LogicalMatrix>& matrices) {
  const std::size_t begin = matrices.size();
  std::int64_t row = first;
  for (const RowBlock& block : blocks) {
    MUONLAB_CHECK(block.rows >= 1, who, ": its block '", block.name, "' has ",
                  block.rows, " rows, expected 1 or more");
    const std::string name = prefix + block.name;
    auto place = std::find_if(
        matrices.begin() + static_cast<std::ptrdiff_t>(begin), matrices.end(),
        [&](const LogicalMatrix& m) { return m.name == name; });
    if (place == matrices.end()) {
      matrices.push_back({name, {}, 0, columns});
      place = matrices.end() - 1;
    }
    place->runs.push_back({row, block.rows});
    place->rows += block.rows;
    row += block.rows;
  }
  MUONLAB_CHECK(row == first + rows, who, ": its blocks have ", row - first,
                " rows, the parameter has ", rows);
}

}  // namespace

FlatShape flat_shape(at::IntArrayRef shape, Role role, std::string_view who) {
  const std::size_t row_dims = role == Role::kExperts ? 2 : 1;
  MUONLAB_CHECK(shape.size() > row_dims, who, ": has ", shape.size(),
                " dimensions, a matrix rule needs ", row_dims + 1,
                " or more for a ", role_name(role), "; give it to AdamW");
  FlatShape flat{1, 1};
  for (std::size_t d = 0; d < shape.size(); ++d) {
    (d < row_dims ? flat.rows : flat.columns) *= shape[d];
  }
  MUONLAB_CHECK(flat.rows * flat.columns > 0, who, ": has no elements (shape ",
                shape, ")");
  return flat;
}

std::vector<LogicalMatrix> logical_matrices(at::IntArrayRef shape, Role role,
                                            const std::vector<RowBlock>& blocks,
                                            std::string_view who) {
  const FlatShape flat = flat_shape(shape, role, who);
  std::vector<LogicalMatrix> matrices;
  if (role == Role::kExperts) {
    for (std::int64_t e = 0; e < shape[0]; ++e) {
      const std::string name = "expert" + std::to_string(e);
      const std::int64_t first = e * shape[1];
      if (blocks.empty()) {
        matrices.push_back({name, {{first, shape[1]}}, shape[1], flat.columns});
      } else {
        split(blocks, name + ".", first, shape[1], flat.columns, who, matrices);
      }
    }
  } else if (blocks.empty()) {
    matrices.push_back({"", {{0, flat.rows}}, flat.rows, flat.columns});
  } else {
    split(blocks, "", 0, flat.rows, flat.columns, who, matrices);
  }
  return matrices;
}

at::Tensor rows_of(const LogicalMatrix& matrix, const at::Tensor& whole) {
  if (matrix.runs.size() == 1) {
    return whole.narrow(0, matrix.runs[0].first_row, matrix.runs[0].rows);
  }
  std::vector<at::Tensor> parts;
  for (const LogicalMatrix::Run& run : matrix.runs) {
    parts.push_back(whole.narrow(0, run.first_row, run.rows));
  }
  return at::cat(parts);
}

void put_rows(const LogicalMatrix& matrix, at::Tensor& whole,
              const at::Tensor& rows) {
  if (matrix.runs.size() == 1) return;
  std::int64_t taken = 0;
  for (const LogicalMatrix::Run& run : matrix.runs) {
    whole.narrow(0, run.first_row, run.rows)
        .copy_(rows.narrow(0, taken, run.rows));
    taken += run.rows;
  }
}

}  // namespace muonlab::optim
