// The Newton-Schulz coefficients that polar_coefficients names.
#pragma once

#include <string>
#include <vector>

#include "tests/reference/matrix.h"

namespace muonlab::reference {

/// Step i uses row min(i, last). The input is divided by `safety` times its
/// Frobenius norm.
struct Table {
  std::vector<Coefficients> rows;
  double safety = 1;
};

/// Throws std::invalid_argument on a name that it does not know.
[[nodiscard]] Table coefficient_table(const std::string& name);
[[nodiscard]] std::vector<std::string> coefficient_names();

/// Newton-Schulz with the table's rows. X = M / (s |M|_F + eps), or with
/// `clamp` M / max(s |M|_F, eps), on the short side.
[[nodiscard]] Matrix newton_schulz(const Matrix& m, const Table& table,
                                   int steps, double eps, bool clamp);

}  // namespace muonlab::reference
